#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "map/coords.h"
#include "server/session/session_output.h"

namespace terrazzo::session {

// What one connection that reads too slowly is owed instead of what it would have been sent (PROTOCOL.md, BP). Pure.
// Its shards are each fresh, or stale from the first edit that was left out:
//
//   fresh ── left_out ──▶ stale ── next (the outbox has room) ──▶ asked ── refreshed ──▶ fresh
//
//  1. Of a shard that is stale or asked every edit is left out, so the connection has seen exactly the edits before
//     `since`; what it lacks are the chunks with a revision of `since` or later, and no list of chunks is kept.
//  2. The owner answers in its order: edits that come before the answer are in the states, later ones are let through.
//  3. One shard is asked for at a time, so that the states of one wait in the outbox at most.
//  4. Of durable marks, of each session's presence, of each claim and of the world's metadata the newest is kept.
//  Presence waits as
//     soon as more is queued than goes out at once, and then until all that was put off has gone out.
class Conflation {
 public:
  // Presence of more sessions than this is too much to owe: such a client is to be closed.
  static constexpr std::size_t kPresenceMax = 16384;

  struct StaleShard {
    map::ShardPos position;
    Lsn since;                 // the first edit that was left out
    std::uint32_t ticket = 0;  // of the states asked for; 0: not asked yet
  };

  // ---- the outbox ----
  // It is full: nothing that can wait goes in, until next().
  void outbox_full() { full_ = true; }
  bool full() const { return full_; }
  // It has room: the next stale shard, which is to be asked for under `ticket` (not 0). None: nothing is stale, or an
  // answer is still awaited.
  std::optional<StaleShard> next(std::uint32_t ticket);

  // ---- edits ----
  bool leaves_out(map::ShardPos shard) const { return full_ || is_stale(shard); }
  bool is_stale(map::ShardPos shard) const { return find(shard) != nullptr; }
  // True: the shard was fresh, so the client is to be told.
  bool left_out(map::ShardPos shard, Lsn lsn);
  // The states asked for have come and are in the outbox. False: they were not asked for.
  bool refreshed(map::ShardPos shard, std::uint32_t ticket);

  // ---- what waits for room ----
  void owe_durable(map::ShardPos shard, Lsn lsn);
  // False: kPresenceMax is reached.
  bool owe_presence(SharedNote note);
  // Likewise.
  bool owe_claim(shard::SharedClaimNote note);
  std::vector<proto::ShardMark> take_durable();
  std::vector<SharedNote> take_presence();
  std::vector<shard::SharedClaimNote> take_claims();
  bool owes_claims() const { return !claims_.empty(); }
  bool owes_presence() const { return !presence_.empty(); }
  // The world's metadata changed: the newest is to be sent.
  void owe_world() { world_ = true; }
  bool take_world() { return std::exchange(world_, false); }

  // Everything was made good.
  bool over() const {
    return !full_ && !world_ && stale_.empty() && durable_.empty() && presence_.empty() && claims_.empty();
  }
  // It is left out of edits; who is only owed presence is not.
  bool behind() const { return full_ || !stale_.empty(); }
  std::size_t stale_count() const { return stale_.size(); }

 private:
  const StaleShard* find(map::ShardPos shard) const;

  bool full_ = false, world_ = false;
  std::vector<StaleShard> stale_;  // in the order of falling behind
  std::vector<proto::ShardMark> durable_;
  std::vector<SharedNote> presence_;  // sorted by session
  std::vector<shard::SharedClaimNote> claims_;
};

}  // namespace terrazzo::session

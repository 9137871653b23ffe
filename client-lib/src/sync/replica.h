#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "client-lib/src/cache/chunk_cache.h"
#include "client-lib/src/sync/held_edits.h"
#include "client-lib/src/sync/subscriptions.h"
#include "map/read_chunk.h"
#include "proto/messages.h"
#include "terrazzo/events.h"

namespace terrazzo::client {

// The cells of one world as one client knows them: the server's state, and own held edits laid on top of it in the
// order of their making. Pure; one thread. Invariants:
//  1. A live chunk equals the server's chunk as of its revision, and no later edit that this connection brought touched
//  it.
//  2. A chunk's revision is named to a server only while it stands for the same cells there (`known`).
//  3. An own edit is shown on top of a chunk until the confirmed state contains it, never twice and never too short: it
//  goes
//     when the shard's stream has passed its LSN.
class Replica {
 public:
  Replica(std::size_t cache_bytes_max, HeldEdits& held, Subscriptions& subscriptions)
      : cache_(cache_bytes_max), held_(held), subscriptions_(subscriptions) {}

  // ---- the server's stream ----
  // bad_message: the cells cannot be decoded; nothing changed.
  Status chunk(const proto::Chunk& message);
  // Applies it to the live chunks; the areas in which one of them may have changed.
  std::vector<Area> applied(const proto::Applied& message);
  void subscribed(Subscription& subscription, std::span<const proto::ShardMark> marks);
  void durable(map::ShardPos shard, Lsn lsn);
  // A mark in the stream of a shard: durable, and every edit up to there that this client is to see came before it. The
  // answer to an edit that was sent again may name a later place than the edit's own, which no edit to be seen has.
  void durable_mark(map::ShardPos shard, Lsn lsn);
  // The server leaves out the shard's edits from `since` on; until caught_up() no chunk contains one of them for
  // certain, whatever LSNs are named.
  void fell_behind(map::ShardPos shard, Lsn since) { behind_[shard] = since; }
  void caught_up(map::ShardPos shard, Lsn lsn) {
    behind_.erase(shard);
    passed(shard, lsn);
  }
  bool is_durable(map::ShardPos shard, Lsn lsn) const;

  // ---- connections ----
  void disconnected();
  // Another run of the server: what it may not have kept is no longer known.
  void incarnation_changed();
  // What the server shows from now on is another world: nothing that is here is of it.
  void world_replaced();

  // ---- subscriptions ----
  // Before the request is sent: edits that come for these chunks wait for its answer. The chunks to name as known.
  std::vector<proto::KnownChunk> await(const Coverage& coverage);
  // After a coverage came, went or moved.
  void coverage_changed(const Coverage& coverage);

  // ---- own edits ----
  // What ops of which some are not plain will do, as far as can be said from what is shown now.
  EditDraft guess(std::span<const map::Op> ops);
  // It is, or no longer is, shown on top.
  void overlay_changed(const HeldEdit& edit);
  // The server gave the part of an own edit in this shard its place.
  void placed(HeldEdit& edit, map::ShardPos shard, Lsn lsn);
  // Ends the showing of parts that the confirmed state contains; true when an edit may have become complete.
  bool settle();
  // A resend starts from nothing known.
  void unplace(HeldEdit& edit);
  // The edit leaves the held ones.
  void forget(const HeldEdit& edit);

  // ---- reads ----
  std::optional<map::Cell> read(map::LayerId layer, map::CellPos position, bool optimistic);
  const CellBlock* block(const ChunkKey& key, bool optimistic);
  map::ChunkCells shown_cells(const ChunkKey& key);
  std::optional<Lsn> revision(const ChunkKey& key);

  ChunkCache& cache() { return cache_; }

 private:
  void refresh_coverage(CachedChunk& chunk);
  void go_live(CachedChunk& chunk);
  void show(CachedChunk& chunk);
  void passed(map::ShardPos shard, Lsn lsn);
  bool settled(const HeldEdit& edit, const HeldEdit::Part& part) const;
  // Makes the chunks that are not there yet.
  template <class Visit>
  void for_each_covered(const Coverage& coverage, Visit&& visit);
  template <class Visit>
  void for_each_touched(std::span<const map::Op> ops, Visit&& visit);

  ChunkCache cache_;
  HeldEdits& held_;
  Subscriptions& subscriptions_;
  // How far the stream of each shard has come on this connection.
  std::unordered_map<map::ShardPos, Lsn> passed_;
  std::unordered_map<map::ShardPos, Lsn> durable_;
  std::unordered_map<map::ShardPos, Lsn> behind_;  // the first edit left out
  std::size_t placed_and_shown_ = 0;               // parts for settle() to look at
  std::vector<CachedChunk*> touched_;              // scratch
};

}  // namespace terrazzo::client

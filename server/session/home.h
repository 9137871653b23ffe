#pragma once

#include <boost/container/flat_map.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "proto/codec.h"
#include "server/session/conflation.h"
#include "server/session/session.h"
#include "server/session/session_output.h"
#include "server/session/viewer_index.h"
#include "server/shard/claim_desk.h"
#include "server/shard/messages.h"

namespace terrazzo::session {

// All sessions of one core and who of them sees what. Takes what connections say and what owners answer; gives effects.
// Pure; one thread.
//  1. A connection gets edits of a chunk only after its state, in the order of the owner.
//  2. A subscription that is replaced stays in force until the new one is complete: no gap while panning.
//  3. A connection that reads too slowly is left out (conflation.h) until it has room for the newest states.
class Home {
 public:
  Home(shard::CoreId core, const SessionLimits& limits, SessionDirectory& directory, SessionOutput& out);

  // ---- from connections ----
  void connected(Connection connection, proto::Form form);
  void message(Connection connection, std::span<const std::byte> payload);
  void disconnected(Connection connection);
  // Little waits for it any more; as asked for by SessionOutput::tell_room().
  void room(Connection connection);

  // ---- from owners and other homes ----
  void outcome(const shard::EditOutcome& outcome);
  void undone(const shard::UndoOutcome& outcome);
  void states(const shard::StatesReply& reply);
  void publication(const shard::Publication& publication);
  void durable(const shard::DurableMark& mark);
  void presence(const SharedNote& note);
  void presence_asked(const PresenceAsk& ask);
  // Somebody's presence, for one newcomer here.
  void presence_for(const shard::Origin& newcomer, const SharedNote& note);
  // What a desk says to one connection, and to all whom it concerns.
  void claim_answer(const shard::ClaimAnswer& answer);
  void claim_note(const shard::SharedClaimNote& note);
  // A line for everybody here who has its world open.
  void chat(const SharedChat& note);
  void going_away(std::uint32_t retry_after_ms);
  // Another connection speaks for its session now.
  void superseded(Connection connection);
  // A branch that was dropped: who has it open is told and sent away.
  void world_gone(WorldId world);
  void world_changed(const std::shared_ptr<const map::World>& world);

  // What comes from now on comes at this time.
  void set_time(std::uint64_t now_ns) { now_ns_ = now_ns; }
  // Does what waits for its time: presence, durable marks, tokens that end.
  void tick(std::uint64_t now_ns);
  // When tick has something to send; the largest number: never.
  std::uint64_t next_tick_ns() const;

  std::size_t session_count() const { return session_count_; }
  std::size_t watched_chunks() const;
  std::size_t edits_in_flight() const;  // of all sessions, not answered yet
  // Connections that are being left out of edits, and their stale shards.
  std::size_t slow_count() const;
  std::size_t stale_shards() const;
  const SessionCounters& counters() const { return counters_; }

 private:
  // Chunks of a presence that are looked up one by one, however few sessions there are.
  static constexpr std::uint64_t kChunksLookedUp = 16;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  static constexpr std::size_t kRequestsKept = 1024;
  struct ByPosition {
    bool operator()(map::ShardPos a, map::ShardPos b) const {
      return map::position_key(a.x, a.y) < map::position_key(b.x, b.y);
    }
  };
  struct WorldView {
    ViewerIndex viewers;
    std::vector<std::uint32_t> slots;  // sessions that have it open
    std::unordered_map<SessionId, std::uint32_t> slot_of;
    std::unordered_multimap<SessionId, std::uint32_t> followers;         // by whom they follow, their slots
    boost::container::flat_map<map::ShardPos, Lsn, ByPosition> durable;  // marks to send with the next tick
    // The newest that is known: whoever subscribes later waits for edits that were durable before.
    std::unordered_map<map::ShardPos, Lsn> newest_durable;
  };

  Session* find(Connection connection);
  void dispatch(Session& session, const proto::ClientMessage& message);
  void opened(Session& session);
  // Does something about the session's token, and notes when it is due next.
  template <class Do>
  void with_token(Session& session, Do&& act);
  void look_at_tokens();
  void tell_world(WorldView& view, proto::Form form, Role role, const map::World& world, std::string_view json);
  void subscribe(Session& session, const proto::Subscribe& message);
  bool acceptable(Session& session, const proto::Subscribe& message, std::span<const map::LayerId> layers,
                  const map::Rect& chunks);
  // Never 0.
  std::uint32_t new_ticket() {
    const std::uint32_t ticket = next_ticket_++;
    return ticket != 0 ? ticket : next_ticket_++;
  }
  Registration request_states(Session& session, const proto::Subscribe& message,
                              const std::vector<map::LayerId>& layers, const map::Rect& chunks);
  void complete(Session& session, std::uint32_t sub, Session::Subscription& subscription);
  void unsubscribe(Session& session, const proto::Unsubscribe& message);
  void forget(Session& session, const Registration& registration);
  void send_durable(WorldView& view);

  // ---- slow connections (slow_viewers.cc) ----
  Conflation* owed(Connection connection) {
    return slow_count_ == 0 || connection.slot >= slow_.size() ? nullptr : slow_[connection.slot].get();
  }
  Conflation& owe(Connection connection);
  void forget_owed(Connection connection);
  void leave_out(const shard::Publication& publication, std::vector<Connection>& viewers);
  void refused(const shard::Publication& publication, std::span<const Connection> connections);
  void publish_states(const shard::Publication& publication, WorldView& view);
  void left_out(Connection connection, Conflation& owed, map::ShardPos shard, Lsn lsn);
  void request_refresh(Session& session, const Conflation::StaleShard& stale);
  void refreshed(Session& session, const shard::StatesReply& reply);
  void fall_behind(Connection connection, Conflation& owed);

  // ---- presence (presence.cc) ----
  void presence_said(Session& session);
  void send_presences(std::uint64_t now_ns);
  // Sessions of this form that are to know, appended to viewers_.
  void collect_presence_viewers(WorldView& view, proto::Form form, const PresenceNote& note);
  void collect_followers(const WorldView& view, proto::Form form, const PresenceNote& note);
  // To those in viewers_, who have this form, except who has to wait for it.
  void tell_presence(proto::Form form, const SharedNote& note, PresenceIsFor is_for);
  void put_off(Connection connection, Conflation& owed, const SharedNote& note);
  void follow(Session& session, SessionId followed);
  void forget_followed(WorldView& view, Session& session);

  // ---- chat (chat.cc) ----
  void chat(Session& session, const proto::Chat& message);

  // ---- claims (claims.cc) ----
  void claim(Session& session, const proto::Claim& message);
  void release(Session& session, const proto::Release& message);
  std::unique_ptr<shard::ClaimRequest> claim_request(const Session& session, shard::ClaimRequest::Kind kind) const;
  // For who subscribes to these chunks and knows what is in those.
  void look_for_claims(const Session& session, const map::Rect& area, const map::Rect& known);
  void tell_claim(Connection connection, const shard::SharedClaimNote& note);
  // To those in viewers_, who have this form, except who has to wait for it.
  void tell_claim_to_many(proto::Form form, const shard::SharedClaimNote& note);
  void put_off_claim(Connection connection, Conflation& owed, const shard::SharedClaimNote& note);

  shard::CoreId core_;
  SessionLimits limits_;
  SessionDirectory& directory_;
  SessionOutput& out_;
  SessionCounters counters_;
  Arena arena_;
  BlockPool requests_{sizeof(shard::EditRequest), kRequestsKept};  // edits on their way to owners and back
  std::vector<std::unique_ptr<Session>> sessions_;                 // by slot
  std::size_t session_count_ = 0;
  std::unordered_map<WorldId, WorldView> worlds_;
  std::uint32_t next_ticket_ = 1, next_instance_ = 1;
  std::vector<Connection> presence_waiting_;  // sessions with a presence to send
  std::uint64_t presence_due_ns_ = kNever, presence_looked_ns_ = 0;
  std::uint64_t durable_sent_ns_ = 0;
  bool durable_waiting_ = false;
  std::uint64_t now_ns_ = 0;
  std::set<std::pair<std::uint64_t, std::uint32_t>> tokens_due_;  // when, and the slot
  std::vector<Connection> viewers_, refused_;                     // scratch
  std::vector<std::unique_ptr<Conflation>> slow_;                 // by slot; mostly null
  std::size_t slow_count_ = 0;
};

}  // namespace terrazzo::session

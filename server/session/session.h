#pragma once

#include <array>
#include <boost/container/flat_map.hpp>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "map/edit_check.h"
#include "proto/messages.h"
#include "server/session/connection.h"
#include "server/session/session_output.h"

namespace terrazzo::session {

// What one connection may hold and send. The arithmetic: the states of one subscription are queued at once, at most
// some 11 KiB a chunk in the JSON form, 4 KiB in the binary one; with 4096 chunks that stays below the network's outbox
// limit.
struct SessionLimits {
  proto::Limits wire{.message_bytes_max = 1 << 20,
                     .cells_per_edit_max = 65536,
                     .ops_per_edit_max = 1024,
                     .edits_in_flight_max = 512,
                     .chunks_per_subscription_max = 4096,
                     .subscriptions_max = 64,
                     .derived_cells_per_edit_max = 262144};
  // Of chunks × layers, all subscriptions of a connection together.
  std::uint64_t subscribed_chunks_max = 64 * 4096;
  // Of each connection, and of each user over all of his.
  Rate edits, cells, user_edits, user_cells;
  Rate claims;                                      // and releases, of each connection
  Rate chats;                                       // of each connection
  Rate tokens{.per_second = 1, .burst = 4};         // newer ones of each connection: to judge one is work
  std::uint64_t presence_interval_ns = 33'000'000;  // between two notes of a session's newest presence
};

struct SessionCounters {
  std::uint64_t messages = 0, edits = 0, claims = 0, acks = 0, rejects = 0, errors = 0;
  using ByCode = std::array<std::uint64_t, kErrorCodeNames.size()>;
  ByCode rejects_by_code{}, errors_by_code{}, claim_rejects_by_code{};
  // Frames of edits queued for viewers: an edit counts for each.
  std::uint64_t deliveries = 0;
  // Presence: as clients said it, as it went out, queued for somebody, and put off for who does not keep up.
  std::uint64_t chats = 0, chat_deliveries = 0, chats_left_out = 0;  // the latter two: counted for each who reads
  std::uint64_t presences = 0, presence_notes = 0, presence_deliveries = 0, presence_put_off = 0;
  // Of slow connections: how often one fell behind, their shards that became stale, edits left out for them, and the
  // chunk states they got instead.
  // Tokens that sessions renewed, and that ended under one.
  std::uint64_t tokens_renewed = 0, tokens_ended = 0;
  std::uint64_t conflations = 0, shards_stale = 0, edits_left_out = 0, chunks_refreshed = 0;
};

// One registration of a subscription: its rectangle in chunks, and the shards whose states are still on their way.
struct Registration {
  std::uint32_t instance = 0;
  map::Rect chunks;
  std::vector<map::LayerId> layers;
  struct Part {
    std::uint32_t ticket = 0;
    map::ShardPos shard;
    map::Rect chunks;
    bool admitted = false;
  };
  std::vector<Part> parts;
  std::vector<proto::ShardMark> marks;
};

// The protocol state of one connection (PROTOCOL.md, HS, SUB, ED): judges messages and turns them into requests. Pure;
// lives on the home core. The home (home.h) owns it together with the viewer index. Most sessions of a large crowd only
// look, so what only those need that edit, or that show where they are, is there when it is first used.
class Session {
 public:
  Session(Connection connection, proto::Form form, shard::CoreId core, const SessionLimits& limits,
          SessionDirectory& directory, BlockPool& requests, SessionCounters& counters);

  // Hello, open, edit, presence and ping; subscriptions are the home's, which has the index.
  void hello(const proto::Hello& message, std::uint64_t now_ns, SessionOutput& out);
  void open(const proto::Open& message, SessionOutput& out);
  void token(const proto::Token& message, std::uint64_t now_ns, SessionOutput& out);
  void edit(const map::Edit& message, std::uint64_t now_ns, SessionOutput& out);
  // Whether one more claim or release may be asked for at this time.
  bool may_claim(std::uint64_t now_ns) { return claims_.take(limits_.claims, 1, now_ns); }
  bool may_chat(std::uint64_t now_ns) { return chats_.take(limits_.chats, 1, now_ns); }
  void presence(const proto::Presence& message);
  void undo(const proto::Undo& message, std::uint64_t now_ns, SessionOutput& out);
  void outcome(const shard::EditOutcome& outcome, SessionOutput& out);
  void undone(const shard::UndoOutcome& outcome, SessionOutput& out);
  // When the newest presence may go out, at the earliest.
  std::uint64_t presence_due_ns() const { return (shown_ ? shown_->sent_ns : 0) + limits_.presence_interval_ns; }
  // It, for those who watch where it is or was.
  SharedNote next_presence(std::uint64_t now_ns);
  // Whether it is in the home's list of those with something to send.
  bool presence_waits = false;
  // Whose presence it gets wherever it is; 0: nobody's.
  SessionId followed;
  // Whether its end may leave claims behind.
  bool may_hold_claims = false;
  // When the client is to be warned that its token ends, or sent away because it did; nothing: never.
  const std::optional<std::uint64_t>& token_due_ns() const { return token_due_ns_; }
  void token_due(std::uint64_t now_ns, SessionOutput& out);
  // Answers with `error`; the connection lives on.
  // `sub`: the subscription that it is about.
  void error(ErrorCode code, std::string_view message, SessionOutput& out, std::optional<std::uint32_t> sub = {});
  void reject(EditId edit, ErrorCode code, std::string_view message, SessionOutput& out,
              std::span<const shard::SharedClaim> claims = {});
  void reject_claim(ClaimId claim, const Error& why, std::span<const shard::SharedClaim> claims, SessionOutput& out);
  // False (and an error sent) when hello, or open, has not come yet.
  bool ready(SessionOutput& out);
  bool in_world(SessionOutput& out);

  std::size_t edits_in_flight() const { return editing_ ? editing_->in_flight.size() + editing_->undos.size() : 0; }
  Connection connection() const { return connection_; }
  proto::Form form() const { return form_; }
  SessionId id() const { return id_; }
  Role role() const { return role_; }  // in the open world
  const std::string& name() const { return name_; }
  const std::shared_ptr<const map::World>& world() const { return world_; }
  shard::Origin origin() const;
  boost::intrusive_ptr<PresenceNote> presence_note() const;
  // For newcomers: the same note for all of them until it says something new.
  const SharedNote& newest_presence();
  bool has_presence() const { return shown_ != nullptr; }
  // The chunks its presence shows itself in: those of its cursor and its selection, without either of its viewport.
  boost::container::static_vector<map::Rect, 2> presence_place() const;
  // Whether edits of these chunks reach the connection.
  bool watches(const map::Rect& chunks) const;
  // The world's newest metadata. False: its name is another one now, under which the token gives no role.
  bool set_world(std::shared_ptr<const map::World> world);
  proto::WorldInfo world_info(std::string_view json) const { return {json, role_name(role_)}; }

  // By the client's subscription id: the registration in force, and the one replacing it while its states are on the
  // way.
  struct Subscription {
    std::optional<Registration> current;
    std::unique_ptr<Registration> next;  // seldom there
  };
  using Subscriptions = boost::container::flat_map<std::uint32_t, Subscription>;  // few, and each is looked at often
  Subscriptions& subscriptions() { return subscriptions_; }

 private:
  // An edit that has not been answered yet: a mark per shard it went to.
  struct InFlight {
    std::uint32_t parts = 0;
    std::uint32_t applied = 0, durable = 0;
    map::AckMode ack = map::AckMode::durable;
    boost::container::small_vector<proto::ShardMark, 1> marks = {};
  };
  using Flights = std::unordered_map<EditId, InFlight>;
  // Kept for the next ones, so that a stroke allocates nothing per edit.
  static constexpr std::size_t kSpareFlightsMax = 64;
  // Not answered yet; with a request, not sent on yet.
  struct Undo {
    EditId id;
    std::unique_ptr<shard::UndoRequest> request;
  };
  // Of those that edit.
  struct Editing {
    TokenBucket edits, cells;
    Flights in_flight;
    std::vector<Flights::node_type> spare_flights;
    std::vector<Undo> undos;
  };
  Editing& editing() {
    if (!editing_) editing_ = std::make_unique<Editing>();
    return *editing_;
  }
  // Of those that said where they are.
  struct Shown {
    proto::Presence presence;  // `tool` owns its text
    std::string tool;
    SharedNote kept;  // newest_presence(), while it is the newest
    bool announced = false;
    boost::container::static_vector<map::Rect, 2> was;  // where, in the last note
    std::uint64_t sent_ns = 0;
  };
  std::optional<Role> role_in(const map::World& world, const Identity& identity) const;
  // From now on the token of the identity counts.
  void begin_token(std::uint64_t now_ns, SessionOutput& out);
  // Why the edit comes too soon.
  std::optional<Error> over_rate(const map::Edit& edit, std::uint64_t now_ns);
  // One over several shards that has an op which is not plain.
  void derive(const map::Edit& edit, SessionOutput& out);
  void begin_flight(const map::Edit& edit, std::size_t parts);
  void end_flight(Flights::iterator flight, SessionOutput& out);
  // Why the session may not ask for this now; an answer was sent.
  bool refused(EditId id, SessionOutput& out);
  // Undos whose turn it is: what was sent before them is answered, so that they find it.
  void send_undos(SessionOutput& out);
  void acknowledge(EditId edit, const InFlight& flight, bool durable, SessionOutput& out);

  Connection connection_;
  proto::Form form_;
  shard::CoreId core_;
  const SessionLimits& limits_;
  SessionDirectory& directory_;
  BlockPool& requests_;
  SessionCounters& counters_;

  bool greeted_ = false, resumed_ = false;
  SessionId id_;
  Identity identity_;
  Role role_ = Role::viewer;
  std::optional<std::uint64_t> token_due_ns_;
  UserId user_;
  UserId claimant_;  // whom claims of others keep out
  TokenBucket claims_, chats_, tokens_;
  std::uint32_t resends_left_ = 0;  // edits that the connection before may have sent
  std::string name_;
  std::uint32_t color_ = 0;
  std::shared_ptr<const map::World> world_;
  Subscriptions subscriptions_;
  std::unique_ptr<Editing> editing_;
  std::unique_ptr<Shown> shown_;
};

}  // namespace terrazzo::session

#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client-lib/src/sync/backoff.h"
#include "client-lib/src/sync/claim_book.h"
#include "client-lib/src/sync/held_edits.h"
#include "client-lib/src/sync/replica.h"
#include "client-lib/src/sync/subscriptions.h"
#include "client-lib/src/sync/sync_output.h"
#include "map/world.h"
#include "proto/messages.h"
#include "terrazzo/events.h"
#include "terrazzo/options.h"
#include "terrazzo/presence.h"

namespace terrazzo::client {

// The protocol's client side: takes what the program asks, what the server says and what becomes of the connection;
// gives messages and events. Pure: time (microseconds of any steady clock) and the seed of the delays (options.seed)
// are arguments. One thread. Each connection goes connecting → greeting → ready → opening → live; the replica, the held
// edits and the subscriptions outlive it.
class SyncMachine {
 public:
  SyncMachine(const ConnectOptions& options, SyncOutput& out);

  // ---- the connection ----
  void connecting();
  void connected(std::uint64_t now_us);
  void received(const proto::ServerMessage& message, std::uint64_t now_us);
  // It is over: the machine is then waiting, for retry_in_ms(), or it has failed; unless the program did something else
  // about it when it was told. `close_code` as in RFC 6455 7.4, 0 where there was none.
  void disconnected(std::uint16_t close_code, std::string_view reason);
  std::uint32_t retry_in_ms() const { return retry_in_ms_; }
  void closed();
  // In the next hello, and at once where the server has welcomed this client.
  void set_token(std::string token);
  // The output has become writable again.
  void writable_again();
  // Sends pings. True: nothing was heard for too long, the connection is to be given up.
  bool tick(std::uint64_t now_us);

  // ---- the program ----
  Status open(std::string_view world);
  Result<SubscriptionId> subscribe(const map::Rect& rect, std::span<const map::LayerId> layers);
  Status move_subscription(SubscriptionId id, const map::Rect& rect);
  void unsubscribe(SubscriptionId id);
  bool is_ready(SubscriptionId id);
  Result<EditId> edit(EditDraft draft, map::AckMode ack);
  // The id of what is wanted is given here.
  Result<EditId> undo(const proto::Undo& wanted);
  // Goes out at once, or, where the last one was a moment ago, with tick_presence().
  void set_presence(const Presence& presence, std::uint64_t now_us);
  // When tick_presence() has something to send; nothing: never.
  std::optional<std::uint64_t> presence_due_us() const;
  void tick_presence(std::uint64_t now_us);
  Status chat(std::string_view text);
  // 0: nobody any more.
  void follow(SessionId session);
  SessionId followed() const { return followed_; }
  Result<ClaimId> claim(const map::Rect& rect, std::span<const map::LayerId> layers, std::chrono::milliseconds ttl);
  void release(ClaimId claim);
  void break_claim(SessionId session, ClaimId claim);
  const ClaimBook& claims() const { return claims_; }
  void ping(std::uint64_t now_us);

  State state() const { return state_; }
  // Connected, on the way there, or waiting for it.
  bool wants_connection() const { return state_ != State::idle && state_ != State::failed && state_ != State::closed; }
  const std::optional<Error>& last_error() const { return last_error_; }
  SessionId session() const { return session_; }
  Incarnation incarnation() const { return incarnation_; }
  std::string_view role() const { return role_; }
  const proto::Limits& limits() const { return limits_; }
  const map::World* world() const { return world_ ? &*world_ : nullptr; }
  const std::map<SessionId, Peer>& peers() const { return peers_; }
  const HeldEdits& held() const { return held_; }
  // Undos that are not answered.
  struct HeldUndo {
    proto::Undo message;
    bool ever_sent = false;
  };
  const std::map<EditId, HeldUndo>& undos() const { return undos_; }
  Replica& replica() { return replica_; }
  std::uint64_t edits_resent() const { return edits_resent_; }
  std::uint32_t round_trip_us() const { return round_trip_us_; }

 private:
  void on(const proto::Welcome& message);
  void on(const proto::WorldInfo& message);
  void on(const proto::Chunk& message);
  void on(const proto::Subscribed& message);
  void on(const proto::Applied& message);
  void on(const proto::Ack& message);
  void on(const proto::Durable& message);
  void on(const proto::Reject& message);
  void on(const proto::ErrorMessage& message);
  void on(const proto::PresenceOf& message);
  void on(const proto::Left& message);
  void on(const proto::ChatOf& message);
  void on(const proto::Pong& message);
  void on(const proto::GoingAway& message);
  void on(const proto::Stale& message);
  void on(const proto::Refreshed& message);
  void on(const proto::Claimed& message);
  void on(const proto::Released& message);
  void on(const proto::Expires& message);

  struct Loss {
    bool retry = false;
    bool at_once = false;  // no delay needed
    Error error;
  };

  // The program is told when the machine's own work is done, so it may call the machine: every function that may tell
  // something has one of these.
  class Telling {
   public:
    explicit Telling(SyncMachine& machine) : machine_(machine) {}
    ~Telling() { machine_.hand_out(); }
    Telling(const Telling&) = delete;
    Telling& operator=(const Telling&) = delete;

   private:
    SyncMachine& machine_;
  };
  void tell(Event event) { events_.push_back(std::move(event)); }
  void hand_out();

  bool talking() const {
    return state_ == State::greeting || state_ == State::ready || state_ == State::opening || state_ == State::live;
  }
  Loss loss_of(std::uint16_t close_code, std::string_view reason);
  bool may_be_let_in();
  void say_token();
  void forget_connection();
  void nothing_sent();
  void set_state(State state, std::optional<Error> error = {}, std::uint32_t retry_in_ms = 0);
  void send_open();
  void send_wanted(SubscriptionId id, Subscription& subscription);
  void send_edits();
  void send(HeldEdit& edit);
  void reject_undos(const Error& why, bool only_sent);
  bool presence_can_go() const { return presence_set_ && state_ == State::live; }
  void end_subscription(SubscriptionId id);
  void session_restarted(bool resumed, bool same_incarnation);
  void world_replaced();
  void tell_applied(HeldEdit& edit);
  // Lets go of edits to which nothing can happen any more.
  void release(HeldEdit& edit);
  void release_settled();
  void release_unseen();
  void check_durable(HeldEdit& edit);
  void reject(HeldEdit& edit, Error error, std::vector<Claim> conflicts = {});
  Result<Coverage> cover(const map::Rect& rect, std::span<const map::LayerId> layers) const;
  std::vector<map::LayerId> tile_layers() const;
  // The layers and the size of the world may be other ones now.
  void follow_world();
  void want(Subscription& subscription, Coverage coverage);
  void refuse(SubscriptionId id, Subscription& subscription, const Error& error);
  bool refused_by_server(SubscriptionId id, const Error& error);
  void retry_refused();
  // What the server said cannot be: nothing that follows on this connection can be believed.
  void give_up(const Error& error);
  void emit_edit_areas(CellsChanged::Cause cause, const HeldEdit& edit);
  void clear_peers();

  const ConnectOptions options_;
  SyncOutput& out_;
  std::deque<Event> events_;
  bool handing_out_ = false;
  State state_ = State::idle;
  std::optional<Error> last_error_;
  std::optional<Error> connection_error_;     // the newest the server sent on this connection
  std::optional<Error> given_up_;             // why this connection is being dropped
  std::optional<std::uint64_t> welcomed_us_;  // likewise
  Backoff backoff_;
  std::uint32_t retry_after_ms_ = 0;  // the server's wish
  std::uint32_t retry_in_ms_ = 0;

  // Of the session; outlive connections.
  SessionId session_;
  std::string resume_token_;
  std::string resume_set_aside_;    // while it is found out whether it or the token was refused
  std::string token_, token_said_;  // the newest; what this connection has said
  bool resume_tried_ = false;
  Incarnation incarnation_;
  std::string role_;
  proto::Limits limits_;

  std::string world_name_;
  std::optional<map::World> world_;
  Presence presence_;
  bool presence_set_ = false, presence_waits_ = false;
  std::optional<std::uint64_t> presence_sent_us_;
  std::map<SessionId, Peer> peers_;
  SessionId followed_;

  ClaimBook claims_{out_, events_};
  Subscriptions subscriptions_;
  HeldEdits held_;
  std::map<EditId, HeldUndo> undos_;
  Replica replica_;
  EditId sent_through_;          // on this connection
  std::uint32_t in_flight_ = 0;  // sent on this connection, not answered
  std::uint64_t edits_resent_ = 0;

  std::uint64_t heard_us_ = 0, pinged_us_ = 0, now_us_ = 0;
  std::uint32_t round_trip_us_ = 0;
};

}  // namespace terrazzo::client

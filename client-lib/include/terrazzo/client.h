#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "map/cell.h"
#include "map/edit.h"
#include "map/world.h"
#include "terrazzo/claims.h"
#include "terrazzo/edit_draft.h"
#include "terrazzo/events.h"
#include "terrazzo/options.h"
#include "terrazzo/presence.h"
#include "terrazzo/reactor.h"

namespace terrazzo::client {

// Which of the two views of the map a read is of.
enum class View : std::uint8_t {
  optimistic,  // the server's state with own edits that wait for their place in its order on top
  confirmed,   // the server's state alone
};

struct Statistics {
  std::uint64_t messages_received = 0, bytes_received = 0;
  std::uint64_t messages_sent = 0, bytes_sent = 0;  // payloads, without WebSocket's own bytes
  std::uint64_t connections = 0;                    // handshakes that succeeded
  std::uint64_t edits_resent = 0;
  std::size_t edits_held = 0;  // not known to be durable, or still shown on top
  std::size_t chunks_cached = 0, chunk_bytes_cached = 0;
  std::uint32_t round_trip_us = 0;  // of the newest ping; 0: none yet
};

// One connection to one world of a server: a replica of what it subscribes to, with own edits shown at once. It
// reconnects by itself, resumes its session, and sends again what the server may not have; the views stay readable
// meanwhile.
//
//   Client client({.url = "ws://127.0.0.1:7777", .name = "Ada"});
//   client.connect();
//   client.open("island");
//   if (auto live = client.wait_live(5s); !live) …
//   const SubscriptionId sub = *client.subscribe(map::Rect::of_size(0, 0, 256, 256));
//   client.wait_until([&] { return client.is_ready(sub); }, 5s);
//   const EditId edit = *client.edit(EditDraft().set(1, {3, 4}, map::Cell{7}));
//   client.wait_until([&] { return client.is_durable(edit); }, 5s);
//
// Threads: none of its own. All calls, the destructor included, belong on the thread that runs the reactor; things
// happen only inside run_once(), poll() and wait_…(). Callbacks run there too, and may call the client (not destroy it,
// and not wait in it). No exceptions; errors are values, and what the server says comes as events.
class Client {
 public:
  // With a reactor of its own, or one shared with other clients.
  explicit Client(ConnectOptions options);
  Client(Reactor& reactor, ConnectOptions options);
  ~Client();  // closes the connection without waiting; edits that were not sent are lost
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Starts connecting. bad_message: the URL is not ws://host[:port][/path].
  Status connect();
  // Drops the connection and stays away; held edits stay held, and connect() continues the session.
  void close();
  // Drops the connection as a failing network would; the reconnect policy takes over.
  void drop_connection();
  // A newer token of the same user, for this connection and those that follow; what it answers comes as TokenExpires,
  // or as ServerError where the server does not take it: then the one before stays in force. Best called when
  // TokenExpires says that the old one ends. When it has ended (failed, `unauthenticated`): set_token(), then
  // connect(), and the session goes on.
  void set_token(std::string token);
  // By name, or by id in decimal. At once, or as soon as the server has welcomed this client. One world per client.
  Status open(std::string_view world);

  State state() const;
  // Of the newest waiting, failed or refused open.
  const std::optional<Error>& last_error() const;
  SessionId session() const;        // 0 before the first welcome
  Incarnation incarnation() const;  // 0 before the first welcome
  // viewer, editor or owner: in the world, once it is open; before, where the token says nothing else. Empty: not
  // known.
  std::string_view role() const;
  const proto::Limits& limits() const;
  // Null before the first WorldChanged; the pointer holds until the next.
  const map::World* world() const;

  // Replicates the chunks that the rectangle (in cells) touches, in these layers (empty: all tile layers). May be
  // called while the connection is down, but not before the world is known. not_found: no such tile layer; too_large:
  // more chunks or subscriptions than limits() allows; conflict: no world. What the server says comes as
  // SubscriptionReady or SubscriptionRefused.
  Result<SubscriptionId> subscribe(const map::Rect& rect, std::span<const map::LayerId> layers = {});
  // The old rectangle stays in force until the new one is there: panning shows no gap.
  Status move_subscription(SubscriptionId subscription, const map::Rect& rect);
  void unsubscribe(SubscriptionId subscription);
  bool is_ready(SubscriptionId subscription) const;

  using EditCallback = std::function<void(const Event&)>;  // EditApplied, EditDurable, EditRejected, UndoDone
  // Shows the edit in the optimistic view and sends it, or keeps it for the next connection. The ids count from 1.
  // Errors of map::check_edit; conflict: no world; too_large: too many shards; overloaded: more than
  // options.edits_held_max wait. The callback runs besides the events. What a copy or flood will do is shown as far as
  // the cells it reads are in the cache; the server's answer takes its place.
  Result<EditId> edit(const EditDraft& draft, map::AckMode ack = map::AckMode::durable, EditCallback done = {});
  // Likewise, with everything copied before it returns.
  Result<EditId> edit(std::span<const map::Op> ops, std::span<const map::Condition> conditions,
                      map::AckMode ack = map::AckMode::durable, EditCallback done = {});
  // Has the newest edit of this user undone, whichever of his sessions made it, or what he undid last redone; or the
  // edit that is named (author 0: of this session). The server finds it and leaves cells alone that others have changed
  // since, so nothing is shown before it says so. Ends with UndoDone or EditRejected; waits for a connection as an edit
  // does, and is done once. Its id is of the same numbers. conflict: no world.
  Result<EditId> undo(EditId edit = {}, SessionId author = {}, EditCallback done = {});
  Result<EditId> redo(EditId edit = {}, SessionId author = {}, EditCallback done = {});
  // Answers for edits of the whole session, at no cost in memory: what is not waiting or rejected got there.
  bool is_applied(EditId edit) const;
  bool is_durable(EditId edit) const;
  // Why, if it was; the newest 1024 rejections are remembered.
  std::optional<Error> rejection(EditId edit) const;
  // Own edits that are neither durable nor rejected (with AckMode::applied: that wait for anything).
  std::size_t edits_waiting() const;

  // Nothing where the chunk is not in the cache. Chunks outside the subscriptions are as they were when last seen.
  std::optional<map::Cell> read(map::LayerId layer, map::CellPos position, View view = View::optimistic) const;
  // 1024 cells, row-major. False, and nothing written, where the chunk is not in the cache.
  bool read_chunk(map::LayerId layer, map::ChunkPos chunk, std::span<map::Cell, map::kChunkCells> out,
                  View view = View::optimistic) const;
  // rect.area() cells, row-major; unknown ones are empty, and then it returns false.
  bool read_rect(map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out,
                 View view = View::optimistic) const;
  // The newest edit that the confirmed state of the chunk contains.
  std::optional<Lsn> revision(map::LayerId layer, map::ChunkPos chunk) const;

  // Parts that are not given stay as they were. Sent when live, as often as ConnectOptions::presence_per_second allows
  // (the newest is never lost), and again after a reconnect.
  void set_presence(const Presence& presence);
  // Whose presence (peer(), PeerChanged) is kept up to date wherever it is; nothing: nobody's any more. Outlives
  // connections, also while they are lost. To see what it sees, move a subscription to its viewport.
  void follow(std::optional<SessionId> session);
  std::optional<SessionId> followed() const;
  // By session. Where somebody is whom no subscription of this client shows, and whom it does not follow, may be old.
  std::vector<Peer> peers() const;
  std::optional<Peer> peer(SessionId session) const;

  // To everybody who has the world open and reads in time, this client included: comes back as Chatted. Kept nowhere,
  // and not for later: conflict without a world and a connection; overloaded while too much waits to be sent;
  // bad_message unless it is UTF-8 of 1 to 1024 bytes. What the server takes no more of is a ServerError
  // (rate_limited).
  Status chat(std::string_view text);

  // Keeps an area for this client's user: the server refuses what others edit there (EditRejected, `claimed`).
  // ClaimHeld says that it does, ClaimRejected that it does not. Renewed until release(), and asked for again after a
  // lost connection or a restart of the server; `ttl` is how long the server waits for that, two seconds at least. No
  // layers: all of them. conflict: no world.
  Result<ClaimId> claim(const map::Rect& rect, std::span<const map::LayerId> layers = {},
                        std::chrono::milliseconds ttl = std::chrono::minutes(1));
  void release(ClaimId claim);
  // Somebody else's; takes the role of an owner.
  void break_claim(SessionId session, ClaimId claim);
  bool holds(ClaimId claim) const;  // as far as this client has heard
  // Those that touch this client's subscriptions, own ones included.
  std::vector<Claim> claims() const;

  // Asks the server to answer; Statistics::round_trip_us is the result. Every message before it was handled before it.
  void ping();
  Statistics statistics() const;

  // Runs the reactor (of other clients, too, where it is shared) once; see Reactor::run_once.
  std::size_t run_once(std::chrono::milliseconds timeout);
  // Does what can be done without waiting and hands over the events since the last call.
  std::vector<Event> poll();
  // With a callback events do not wait for poll(); an empty function undoes it.
  void on_event(std::function<void(const Event&)> callback);
  // Runs the reactor until the predicate holds, or the time has passed. Events stay for poll().
  bool wait_until(const std::function<bool()>& predicate, std::chrono::milliseconds timeout);
  // Until live. The error is that of a failed connection or a refused open, or says that the time has passed.
  Status wait_live(std::chrono::milliseconds timeout);
  // Until every edit is durable or rejected. False: the time has passed.
  bool wait_durable(std::chrono::milliseconds timeout);

 private:
  struct Core;
  std::unique_ptr<Reactor> own_reactor_;
  std::unique_ptr<Core> core_;
};

}  // namespace terrazzo::client

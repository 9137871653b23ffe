#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/coords.h"
#include "map/world.h"
#include "terrazzo/claims.h"

// What a client tells its program. Events own what they hold; they are values to keep, copy and move between threads.
namespace terrazzo::client {

using SubscriptionId = StrongId<struct SubscriptionTag, std::uint32_t>;

enum class State : std::uint8_t {
  idle,        // connect() was not called yet
  connecting,  // socket and WebSocket handshake
  greeting,    // hello sent, welcome awaited
  ready,       // welcomed, no world open
  opening,     // open sent, the world's metadata awaited
  live,        // in a world: subscriptions and edits flow
  waiting,     // the connection was lost; the next attempt comes after a delay
  failed,      // given up: the reason will not go away by itself (or reconnecting is switched off)
  closed,      // by close()
};
std::string_view state_name(State state);

struct StateChanged {
  State state = State::idle;
  std::optional<Error> error;     // why, for waiting and failed (and for ready, where open was refused)
  std::uint32_t retry_in_ms = 0;  // for waiting
};

// The metadata of the world is here, for the first time or anew.
struct WorldChanged {};

// Every chunk of the subscription is in the cache, and from now on kept as the server has it. Comes again after each
// reconnect and after each change of its rectangle.
struct SubscriptionReady {
  SubscriptionId subscription;
};

// The server refused what the subscription asks for (subscribe() or the newest move_subscription()). What it had before
// stays as it was, and is kept up to date; is_ready() is false. Comes again with each refusal.
struct SubscriptionRefused {
  SubscriptionId subscription;
  Error error;
  // Asked for again after so long, because the reason may pass by itself; 0: not before the program moves or ends it,
  // or the connection is a new one.
  std::uint32_t retry_in_ms = 0;
};

struct Area {
  map::LayerId layer = 0;
  map::Rect rect;  // cells
};

// What the optimistic view, the confirmed one, or both show has (probably) changed inside `areas`; chunks that are not
// in the cache are left out of neither count nor areas.
struct CellsChanged {
  enum class Cause : std::uint8_t {
    edit,      // somebody's edit, in the server's order: shard, lsn, author and edit say which
    state,     // the server sent the state of a chunk
    own,       // an edit of this client, before the server saw it
    rollback,  // an edit of this client was rejected and taken back
  };
  Cause cause = Cause::edit;
  map::ShardPos shard;
  Lsn lsn;
  SessionId author;
  EditId edit;
  std::vector<Area> areas;
};

// Of own edits, in this order: applied (has its place in the order, may still be lost with the server), then durable;
// or rejected. An edit asked for with AckMode::applied whose shards no subscription touches ends with applied.
struct EditApplied {
  EditId edit;
};
struct EditDurable {
  EditId edit;
};
// Nothing of the edit is applied, and the view no longer shows it. Code `conflict` with a lost session: the message
// says so.
struct EditRejected {
  EditId edit;
  Error error;
  std::vector<Claim> conflicts = {};  // of `claimed`: claims of others that are in the way, eight at most
};

// Of own claims: in force (again, after a lost connection); refused; or ended, other than by release().
struct ClaimHeld {
  ClaimId claim;
  std::uint32_t ttl_ms = 0;
};
struct ClaimRejected {
  ClaimId claim;
  Error error;
  std::vector<Claim> conflicts = {};
};
struct ClaimEnded {
  ClaimId claim;
  ReleaseReason reason = ReleaseReason::expired;
};
// Client::claims() is another list now.
struct ClaimsChanged {};
// An undo or redo is done, and on disk. Its cells came as somebody's edit does. One that cannot be done comes as
// EditRejected.
struct UndoDone {
  EditId id;  // its own
  bool redo = false;
  SessionId author;  // what it took back, or did again
  EditId edit;
  std::uint64_t restored = 0, skipped = 0;  // cells; skipped: others have changed them since
};

struct PeerChanged {
  SessionId session;
};
struct PeerLeft {
  SessionId session;
};

// Somebody in the world, this client included, said something to everybody.
struct Chatted {
  SessionId session;
  std::string name;
  std::string text;
};

// An error that answers neither an edit nor a subscription. The connection lives on, unless what the server said could
// not be understood: then the client drops it and comes back.
struct ServerError {
  Error error;
};

// The program polled too rarely: this many of the oldest events are gone. State is to be read anew.
struct EventsLost {
  std::uint64_t count = 0;
};

// This client reads too slowly for the server, or edit `lsn` is too large for a message: the edits of the shard from
// `lsn` on are left out, until CaughtUp. What the views show is as it was right before; then the newest states come.
struct FellBehind {
  map::ShardPos shard;
  Lsn lsn;
};
// Everything of the shard shows its state right after `lsn`, and edits flow again.
struct CaughtUp {
  map::ShardPos shard;
  Lsn lsn;
};

// The token is good for so long still (nothing: for ever): a minute before it ends, and when set_token() brought a
// newer one. Whoever lets it pass is sent away: StateChanged, failed, with `unauthenticated`.
struct TokenExpires {
  std::optional<std::uint64_t> in_ms;
};

using Event =
    std::variant<StateChanged, WorldChanged, SubscriptionReady, CellsChanged, EditApplied, EditDurable, EditRejected,
                 PeerChanged, PeerLeft, ServerError, EventsLost, FellBehind, CaughtUp, SubscriptionRefused, ClaimHeld,
                 ClaimRejected, ClaimEnded, ClaimsChanged, UndoDone, TokenExpires, Chatted>;

}  // namespace terrazzo::client

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/edit.h"
#include "map/world.h"

namespace terrazzo {
// A client's own number of a claim, unique within its session, from 1.
using ClaimId = StrongId<struct ClaimTag, std::uint32_t>;
}  // namespace terrazzo

// The messages of the protocol as values of the domain. All are views: text, cells and lists point into the frame or
// the arena they were decoded into (or, for encoding, into whatever the caller keeps alive). PROTOCOL.md is the
// normative text.
namespace terrazzo::proto {

inline constexpr std::uint32_t kProtocolVersion = 1;

enum class Form : std::uint8_t { binary, json };

// ---- client → server ----

struct Resume {
  std::string_view session;  // the token that welcome gave
  Incarnation incarnation;
};

struct Hello {
  std::uint32_t protocol = kProtocolVersion;
  std::string_view client;  // program and version, for logs
  std::string_view token;   // empty: none
  std::string_view name;
  std::uint32_t color = 0;  // 0xRRGGBB; 0: the server chooses
  std::optional<Resume> resume;
};

// A newer one of the same user, in place of the one that hello brought.
struct Token {
  std::string_view token;
};

struct Open {
  std::string_view world;  // name, or id in decimal
};

struct KnownChunk {
  map::LayerId layer = 0;
  map::ChunkPos chunk;
  Lsn revision;
};

struct Subscribe {
  std::uint32_t sub = 0;  // the client's own id; the same id again replaces the rectangle
  map::Rect rect;
  std::span<const map::LayerId> layers;  // empty: all tile layers
  std::span<const KnownChunk> known;     // chunks the client holds, of the incarnation it named in `incarnation`
  Incarnation incarnation;               // of the server that gave the known revisions; 0: the current one
};

struct Unsubscribe {
  std::uint32_t sub = 0;
};

// Any part may be missing: it stays as it was.
struct Presence {
  std::optional<map::CellPos> cursor;
  std::optional<map::Rect> viewport;
  std::optional<map::Rect> selection;
  std::optional<std::string_view> tool;
};

// A line to everybody who has the world open.
struct Chat {
  std::string_view text;  // 1 to kChatBytesMax bytes
};

// Whose presence is wanted wherever it is; 0: nobody's any more.
struct Follow {
  SessionId session;
};

// An area that nobody else is to edit for a time; the same number again, with the same area, makes the time longer.
struct Claim {
  ClaimId claim;
  map::Rect rect;
  std::span<const map::LayerId> layers;  // empty: all, those to come included
  std::uint32_t ttl_ms = 0;              // 0: as long as the server allows
};

// Of an own claim, or, from an owner, of somebody else's.
struct Release {
  ClaimId claim;
  SessionId session;  // whose; 0: own
};

struct Ping {
  std::uint64_t t = 0;
};

// Takes back an edit of the same user, or what an undo of his took back.
struct Undo {
  EditId id;  // its own, as that of an edit
  bool redo = false;
  EditId edit;       // which; 0: the newest one there is to undo (redo)
  SessionId author;  // the session that `edit` counts for; 0: this one
};

// What could be read as a message but is wrong. Answered with `reject` where it is an edit or undo, else with `error`.
struct Invalid {
  ErrorCode code = ErrorCode::bad_message;
  std::string_view message;
  std::optional<EditId> edit;
  std::optional<std::uint32_t> sub;  // of a subscribe
};

using ClientMessage = std::variant<Hello, Open, Subscribe, Unsubscribe, map::Edit, Presence, Ping, Follow, Claim,
                                   Release, Undo, Token, Chat, Invalid>;

// ---- server → client ----

struct Limits {
  std::uint32_t message_bytes_max = 0;
  std::uint32_t cells_per_edit_max = 0;  // in set ops; fill and replace have no such bound
  std::uint32_t ops_per_edit_max = 0;
  std::uint32_t edits_in_flight_max = 0;          // per session, unacknowledged
  std::uint32_t chunks_per_subscription_max = 0;  // chunks × layers
  std::uint32_t subscriptions_max = 0;
  std::uint32_t derived_cells_per_edit_max = 0;  // that copy ops read and flood ops may reach
};

struct Welcome {
  SessionId session;        // public: names the author in `applied`
  std::string_view resume;  // secret: presented in hello.resume.session
  Incarnation incarnation;
  std::string_view user;
  std::string_view role;  // viewer, editor or owner, where nothing else is said of a world; empty: none
  Limits limits;
  bool resumed = false;
};

struct WorldInfo {
  std::string_view json;       // the world's metadata as map/formats/world_json writes it
  std::string_view role = {};  // of this session in it: viewer, editor or owner
};

// The state of one chunk of one layer: encoded cells (map/chunk_codec.h), or one cell value everywhere.
struct Chunk {
  map::LayerId layer = 0;
  map::ChunkPos chunk;
  Lsn revision;
  std::optional<map::Cell> fill;
  std::span<const std::byte> coded;  // binary form, when there is no fill
  std::span<const map::Cell> cells;  // JSON form, when there is no fill: 1024, row-major
};

struct ShardMark {
  map::ShardPos shard;
  Lsn lsn;
};

struct Subscribed {
  std::uint32_t sub = 0;
  std::span<const ShardMark> shards;  // the LSN whose state the chunks just sent show
};

struct Applied {
  map::ShardPos shard;
  Lsn lsn;
  SessionId author;
  EditId edit;
  std::span<const map::Op> ops;  // clipped to the shard
};

// What an undo or redo did: to which edit, and to how many cells.
struct Undone {
  SessionId author;
  EditId edit;
  std::uint64_t restored = 0;
  std::uint64_t skipped = 0;  // they did not hold any more what was to be taken back
};

struct Ack {
  EditId edit;
  std::span<const ShardMark> shards;
  bool durable = false;
  std::optional<Undone> undone = {};  // of undo and redo
};

struct Durable {
  map::ShardPos shard;
  Lsn lsn;
};

// Whose claim it is, and where.
struct ClaimOf {
  SessionId session;
  ClaimId claim;
  std::string_view name;
  map::Rect rect;
  std::span<const map::LayerId> layers;  // empty: all
};

// Of an edit, or, where `claim` is not 0, of a claim.
struct Reject {
  EditId edit;
  ErrorCode code = ErrorCode::internal;
  std::string_view message;
  ClaimId claim;
  std::span<const ClaimOf> conflicts;  // of `claimed`: with whose claims
};

struct ErrorMessage {
  ErrorCode code = ErrorCode::internal;
  std::string_view message;
  std::optional<std::uint32_t> sub;  // the subscription that it is about
};

// Of another session in the same world. The first one about a session has its name and colour.
struct PresenceOf {
  SessionId session;
  std::string_view name;
  std::uint32_t color = 0;
  Presence presence;
};

struct Left {
  SessionId session;
};

// The author is told its own, too.
struct ChatOf {
  SessionId session;
  std::string_view name;
  std::string_view text;
};

struct Pong {
  std::uint64_t t = 0;
};

struct GoingAway {
  std::uint32_t retry_after_ms = 0;
};

// How long the token in force is still good; nothing: for ever.
struct Expires {
  std::optional<std::uint64_t> in_ms;
};

// This connection is too slow: the edits of the shard from `lsn` on are left out, until Refreshed.
struct Stale {
  map::ShardPos shard;
  Lsn lsn;
};

// The chunks sent since Stale and those that were not sent show the state right after `lsn`; later edits follow.
struct Refreshed {
  map::ShardPos shard;
  Lsn lsn;
};

// The claim is in force, from now on or still.
struct Claimed {
  ClaimOf of;
  std::uint32_t ttl_ms = 0;  // from now on
};

enum class ReleaseReason : std::uint8_t { released, expired, left, broken };
inline constexpr std::array<std::string_view, 4> kReleaseReasonNames = {"released", "expired", "left", "broken"};

struct Released {
  SessionId session;
  ClaimId claim;
  ReleaseReason reason = ReleaseReason::released;
};

using ServerMessage = std::variant<Welcome, WorldInfo, Chunk, Subscribed, Applied, Ack, Durable, Reject, ErrorMessage,
                                   PresenceOf, Left, Pong, GoingAway, Stale, Refreshed, Claimed, Released, Expires, ChatOf>;

}  // namespace terrazzo::proto

#pragma once

#include <array>
#include <boost/container/small_vector.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/block_pool.h"
#include "base/branch_world.h"
#include "base/error.h"
#include "base/shared_bytes.h"
#include "base/strong_id.h"
#include "map/coords.h"
#include "map/edit.h"
#include "proto/messages.h"
#include "server/shard/claim.h"
#include "server/storage/shard_store.h"

// What crosses between home cores and the owner cores of shards. Ownership moves with each message.
namespace terrazzo::shard {

using CoreId = std::uint8_t;
inline constexpr int kCoresMax = 64;  // interest is a bit mask of cores
using CoreMask = std::uint64_t;

struct ShardKey {
  WorldId world;  // or a branch of one, which lives in the same file
  map::ShardPos position;
  bool operator==(const ShardKey&) const = default;
};
inline ShardKey main_key(const ShardKey& key) {
  return {main_world(key.world), key.position};
}

// Who asked, and where to answer: a session, and the connection it has at the moment on its home core.
struct Origin {
  SessionId session;
  std::uint32_t connection_slot = 0;
  std::uint32_t connection_generation = 0;
  CoreId core = 0;
  UserId user = {};
  // Who is kept out by claims: the user, or where nobody says who they are, the session.
  UserId claimant = {};
};
// Instead of a connection: the undo desk of the core sent the edit and takes what becomes of it (app/undo_desk.h).
inline constexpr std::uint32_t kUndoDeskSlot = ~std::uint32_t{0};

// An edit in its world: the session that asked for it, and its number there.
struct EditName {
  SessionId author;
  EditId edit;
  auto operator<=>(const EditName&) const = default;
};

// Cells that become `to` where they still hold `from`; row by row, or one value for all where there are none.
struct Swap {
  map::LayerId layer = 0;
  map::Rect rect;
  map::Cell from, to;
  std::span<const map::Cell> from_cells, to_cells;  // both or none
};

// That an edit takes back another one, or does again what was taken back.
struct UndoOf {
  EditName edit;
  bool redo = false;
  bool operator==(const UndoOf&) const = default;
};

// Areas of a shard that become again what they were in a pin: what undoing huge edits and going back to a version are
// made of. Areas in cells, inside the shard.
struct Restore {
  storage::PinKind from = storage::PinKind::version;
  std::uint64_t id = 0;
  struct Area {
    map::LayerId layer = 0;
    map::Rect rect;
    bool operator==(const Area&) const = default;
  };
  std::vector<Area> areas = {};
  // Only cells that still hold what edit `id` wrote, whose undo point is meant.
  bool unless_changed = false;
};

// One edit for one shard (home → owner), checked against the world's metadata and clipped to the shard. Self-contained:
// ops and conditions live in its arena.
struct EditRequest : Pooled {
  ShardKey shard;
  Origin origin;
  map::Edit edit;
  std::optional<Restore> restore;  // instead of ops
  std::optional<UndoOf> undo;
  std::span<const Swap> swaps;  // instead of ops, of an undo; in the arena
  std::uint64_t time_us = 0;    // when it was asked for, since 1970; orders a user's edits
  // Of an edit over several shards: its place in the coordinator's order (from 1); 0 otherwise.
  std::uint64_t coordinated = 0;
  // Likewise: in how many shards it is, this one included.
  std::uint32_t parts = 0;
  // Of a part read from a log: the world's newest version when the edit was decided.
  std::uint64_t version = 0;
  // A stroke of a few cells needs no more than this.
  alignas(16) std::array<std::byte, 384> first_bytes;
  Arena arena{first_bytes, 1024};
};

// One edit over several shards (home → coordinator): a part for each shard, conditions not allowed; or one op that is
// not plain, of which the derivation desk makes the parts (derivation_desk.h).
struct CoordinatedRequest {
  WorldId world;
  Origin origin;
  EditId id;
  map::AckMode ack = map::AckMode::durable;
  std::vector<std::unique_ptr<EditRequest>> parts;
  std::uint64_t version = 0;  // the world's newest one when the coordinator decided
  std::optional<map::Op> derived;
  std::uint64_t time_us = 0;  // of its parts
};

// What a rectangle of a shard holds at one moment between two edits (coordinator → owner, and back).
struct CellsRequest {
  ShardKey shard;
  CoreId asked_by = 0;
  std::uint64_t ticket = 0;  // the asker's own
  map::LayerId layer = 0;
  map::Rect rect;                // inside the shard
  std::vector<map::Cell> cells;  // row by row, in the answer
  std::optional<Error> error;
};

// Interest of a core in a rectangle of chunks plus the states a connection lacks (home → owner).
struct SubscribeRequest {
  ShardKey shard;
  Origin origin;
  proto::Form form = proto::Form::binary;
  std::uint32_t sub = 0;
  std::uint32_t ticket = 0;  // the home core's own mark for this request, returned with the states
  map::Rect chunks;          // inside the shard
  std::vector<map::LayerId> layers;
  std::vector<proto::KnownChunk> known;  // inside `chunks`
  Incarnation incarnation;               // that the known revisions are of
};

// The newest states of what a connection watches, as far as edits from `since` on have touched it (home → owner).
struct RefreshRequest {
  ShardKey shard;
  Origin origin;
  proto::Form form = proto::Form::binary;
  std::uint32_t ticket = 0;
  Lsn since;
  struct Area {
    map::Rect chunks;  // inside the shard
    std::vector<map::LayerId> layers;
  };
  std::vector<Area> areas;  // may overlap: each chunk counts once
};

// The core's last viewer of these chunks in this form is gone (home → owner).
struct InterestOff {
  ShardKey shard;
  CoreId core = 0;
  proto::Form form = proto::Form::binary;
  std::vector<map::ChunkPos> chunks;
};

// The chunk states for one subscription, or of a refresh (owner → home): complete WebSocket frames in the subscriber's
// form.
struct StatesReply {
  Origin origin;
  std::uint32_t sub = 0;
  std::uint32_t ticket = 0;
  proto::ShardMark mark;  // the states show exactly the edits up to here; every later one follows
  Lsn durable;            // every edit up to here is on disk; later marks follow
  map::ShardPos shard;
  std::vector<SharedBytes> frames;
  std::uint64_t chunks = 0;  // in them
  bool refresh = false;
  std::optional<Error> error;  // the shard cannot be read; no states, no interest
};

// One applied edit for the viewers on one or more cores (owner → homes). `frame` is null in a form nobody reads, and in
// both where `as_states`: of an edit that says nothing of the cells it wrote, and wrote so many that each viewer is
// sent the states of its chunks instead, as is one that has missed edits. Counted: once for each core it is on its way
// to.
struct Publication : Pooled, boost::intrusive_ref_counter<Publication, boost::thread_safe_counter> {
  ShardKey shard;
  Lsn lsn;
  std::array<SharedBytes, 2> frame;                      // by proto::Form: complete WebSocket frames
  boost::container::small_vector<map::Rect, 2> touched;  // in chunks
  bool as_states = false;
};
using SharedPublication = boost::intrusive_ptr<const Publication>;

// To the author's home core. Rejected: error is set and nothing changed.
struct EditOutcome {
  Origin origin;
  WorldId world;
  EditId edit;
  proto::ShardMark mark;
  enum class Stage : std::uint8_t { applied, durable, rejected } stage = Stage::applied;
  std::uint64_t coordinated = 0;
  std::uint64_t restored = 0, skipped = 0;  // cells, of an undo that is applied
  std::optional<Error> error;
  std::vector<SharedClaim> claims = {};  // that were in the way
};

// Undo or redo (home → the undo desk on the world's coordinator core).
struct UndoRequest {
  WorldId world;
  Origin origin;
  EditId id;
  bool redo = false;
  std::optional<EditName> edit;  // nothing: the newest one
  std::uint64_t time_us = 0;     // when it was asked for: later edits are not meant
  bool may_be_applied = false;   // its session has come back, so this may not be the first time
};

// To the author's home core. With an error nothing changed.
struct UndoOutcome {
  Origin origin;
  EditId id;
  EditName name;  // of the undo itself
  std::vector<proto::ShardMark> marks;
  proto::Undone undone;
  std::optional<Error> error;
  std::vector<SharedClaim> claims = {};  // that were in the way
};

// Everything of a shard up to lsn is on disk (owner → homes with viewers).
struct DurableMark {
  ShardKey shard;
  Lsn lsn;
};

}  // namespace terrazzo::shard

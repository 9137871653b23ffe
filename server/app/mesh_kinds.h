#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/app/balancer.h"
#include "server/app/shard_mover.h"
#include "server/app/version_desk.h"
#include "server/http/api.h"
#include "server/runtime/mesh.h"
#include "server/session/session_output.h"
#include "server/shard/claim_desk.h"
#include "server/shard/messages.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

// What a MeshMessage is; words[0] owns the value named behind it.
enum class MeshKind : std::uint32_t {
  edit,           // shard::EditRequest
  coordinate,     // shard::CoordinatedRequest
  subscribe,      // shard::SubscribeRequest
  interest_off,   // shard::InterestOff
  refresh,        // shard::RefreshRequest
  states,         // shard::StatesReply
  publication,    // shard::Publication, counted for each core
  outcome,        // an outcome for the author's home; packed
  part_outcome,   // shard::EditOutcome, for the coordinator
  durable,        // a durable mark; packed
  presence,       // session::PresenceNote, counted for each core
  ask_presence,   // session::PresenceAsk
  presence_to,    // PresenceTo
  chat,           // session::ChatNote, counted for each core
  supersede,      // session::Connection
  metrics,        // MetricsAsk
  world_changed,  // words[0]: the world whose metadata, and that of its branches, is another one now
  // Copies and floods over shards (shard/derivation_desk.h).
  read_cells,  // shard::CellsRequest, for the shard's owner
  cells_read,  // back
  // Claims (shard/claim_desk.h).
  claim_ask,        // shard::ClaimRequest, for the world's coordinator core
  claim_part,       // shard::ClaimPart, for the shard's owner
  claim_part_done,  // back
  claim_note,       // shard::ClaimNote, counted for each core
  claim_answer,     // shard::ClaimAnswer
  claim_query,      // ClaimQuery, for the world's coordinator core
  claim_queried,    // back
  // Versions (app/version_desk.h); words[0] is a world where nothing else is named.
  version_ask,     // VersionAsk, for the world's coordinator core
  version_answer,  // VersionAnswer, for the core that asked
  hold,            // stop taking edits; words[1]: the core to tell
  held,
  cut,           // words[1]: the core to tell, words[2]: the version
  cut_done,      // words[1]: whether what came before is on disk
  drop_version,  // words[2]: the version
  drop_branch,   // words[0]: the branch's own id, words[1]: its number
  pins,          // PinsGather: goes from owner to owner
  // Moves (app/shard_mover.h).
  move,         // MoveNote
  move_ask,     // MoveAsk, for the world's coordinator core
  move_answer,  // MoveAsk, for the core that asked
  log_covered,  // LogCovered, for a core the shard was on
  loads,        // LoadGather: goes round the cores
  // Undo (app/undo_desk.h).
  undo,        // shard::UndoRequest, for the world's coordinator core
  undo_part,   // shard::EditOutcome, for the desk that sent the edit
  undone,      // shard::UndoOutcome, for the author's home
  sync_log,    // words[0]: a ticket, words[1]: the core to tell
  log_synced,  // words[0]: the ticket, words[1]: whether the log failed
};

struct VersionAnswer {
  std::unique_ptr<VersionAsk> ask;
  Result<catalog::NamedVersion> result;
};

// Which claims a world has, or that one of them ends; `done` runs on the core that asked.
struct ClaimQuery {
  WorldId world;
  shard::CoreId asked_by = 0;
  std::optional<std::pair<SessionId, ClaimId>> end;
  bool ended = false;
  std::vector<shard::SharedClaimNote> standing;
  std::function<void(const ClaimQuery&)> done;
};

// A shard is to go to another core. `done` runs on the core that asked.
struct MoveAsk {
  shard::ShardKey shard;
  shard::CoreId to = 0, asked_by = 0;
  Result<http::MovedShard> result;
  std::function<void(Result<http::MovedShard>)> done;
};

// How busy every core is; `done` runs on the core that asked.
struct LoadGather {
  shard::CoreId asked_by = 0;
  unsigned missing = 0;  // cores
  std::vector<CoreLoad> cores;
  std::function<void(const std::vector<CoreLoad>&)> done;
};

// This checkpoint of the shard, by its generation, is durable.
struct LogCovered {
  shard::ShardKey shard;
  std::uint64_t checkpoint = 0;
};

// Which trees some states of a world are, shard by shard; goes from owner to owner, as an edit of the shards would, and
// comes back. A version of 0 is the present state, pinned as a snapshot for as long as somebody looks.
struct PinsGather {
  WorldId world;                           // or any line of it
  std::vector<shard::LineVersion> states;  // of its lines
  std::uint64_t snapshot = 0;              // number of the snapshots
  bool release = false;                    // second round: let the snapshots go
  std::vector<map::ShardPos> shards;       // that have files
  std::vector<map::ShardPos> left;  // of them, in this round; the present core's are being looked at from the front
  struct Shard {
    map::ShardPos position;
    std::string path;
    std::vector<shardfile::Entry> trees;  // of each state
    std::optional<shard::ShardContent> content;
    std::vector<storage::PinInfo> undo_points = {};  // of the first state's line
  };
  bool with_undo_points = false;
  bool undo_points_went = false;  // told by the second round: some are not there any more
  bool with_content = false;      // of versions, the main line's last, for a copy of the file; instead of trees
  std::vector<Shard> found;
  std::optional<Error> problem;  // a shard that could not be opened
  shard::CoreId asked_by = 0;
  std::function<void(std::unique_ptr<PinsGather>)> done;
};

struct PresenceTo {
  shard::Origin newcomer;
  session::SharedNote note;
};

template <class T>
runtime::MeshMessage boxed(MeshKind kind, std::unique_ptr<T> value) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(kind);
  message.words[0] = reinterpret_cast<std::uint64_t>(value.release());
  return message;
}

template <class T>
runtime::MeshMessage boxed(MeshKind kind, T value) {
  return boxed(kind, std::make_unique<T>(std::move(value)));
}

// Stays the message's.
template <class T>
const T& boxed_in(const runtime::MeshMessage& message) {
  return *reinterpret_cast<const T*>(message.words[0]);
}

template <class T>
std::unique_ptr<T> unboxed(const runtime::MeshMessage& message) {
  return std::unique_ptr<T>(reinterpret_cast<T*>(message.words[0]));
}

// What goes to many cores is counted by each message that has it, not copied.
template <class T>
runtime::MeshMessage shared(MeshKind kind, boost::intrusive_ptr<const T> value) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(kind);
  message.words[0] = reinterpret_cast<std::uint64_t>(value.detach());
  return message;
}

template <class T>
boost::intrusive_ptr<const T> shared_in(const runtime::MeshMessage& message) {
  return {reinterpret_cast<const T*>(message.words[0]), false};
}

// What is sent for each edit travels in the message itself.
constexpr std::uint64_t packed(std::int32_t x, std::int32_t y) {
  return std::uint64_t{static_cast<std::uint32_t>(x)} << 32 | static_cast<std::uint32_t>(y);
}
constexpr map::ShardPos shard_in(std::uint64_t word) {
  return {static_cast<std::int32_t>(word >> 32), static_cast<std::int32_t>(word & 0xFFFFFFFFu)};
}

inline runtime::MeshMessage packed(const shard::DurableMark& mark) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(MeshKind::durable);
  message.words[0] = mark.shard.world.value;
  message.words[1] = packed(mark.shard.position.x, mark.shard.position.y);
  message.words[2] = mark.lsn.value;
  return message;
}
inline shard::DurableMark durable_in(const runtime::MeshMessage& message) {
  return {{WorldId{message.words[0]}, shard_in(message.words[1])}, Lsn{message.words[2]}};
}

// Why an edit was rejected.
struct Refusal {
  Error error;
  std::vector<shard::SharedClaim> claims;
};

// Of a rejection the reason is on the heap; otherwise its word is the number of cells left out.
inline runtime::MeshMessage packed(shard::EditOutcome outcome) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(MeshKind::outcome);
  message.small = static_cast<std::uint32_t>(outcome.stage) << 8 | outcome.origin.core;
  message.words[0] = outcome.origin.session.value;
  message.words[1] =
      std::uint64_t{outcome.origin.connection_slot} << 32 | std::uint64_t{outcome.origin.connection_generation};
  message.words[2] = outcome.edit.value;
  message.words[3] = packed(outcome.mark.shard.x, outcome.mark.shard.y);
  message.words[4] = outcome.mark.lsn.value;
  message.words[5] = outcome.coordinated;
  if (outcome.stage != shard::EditOutcome::Stage::rejected)
    message.words[6] = outcome.skipped;
  else if (outcome.error)
    message.words[6] = reinterpret_cast<std::uint64_t>(
        std::make_unique<Refusal>(Refusal{*std::move(outcome.error), std::move(outcome.claims)}).release());
  return message;
}
inline shard::EditOutcome outcome_in(const runtime::MeshMessage& message) {
  shard::EditOutcome outcome;
  outcome.origin = {SessionId{message.words[0]}, static_cast<std::uint32_t>(message.words[1] >> 32),
                    static_cast<std::uint32_t>(message.words[1] & 0xFFFFFFFFu),
                    static_cast<shard::CoreId>(message.small & 0xFFu)};
  outcome.edit = EditId{message.words[2]};
  outcome.mark = {shard_in(message.words[3]), Lsn{message.words[4]}};
  outcome.stage = static_cast<shard::EditOutcome::Stage>(message.small >> 8);
  outcome.coordinated = message.words[5];
  if (outcome.stage != shard::EditOutcome::Stage::rejected) {
    outcome.skipped = message.words[6];
    return outcome;
  }
  if (const std::unique_ptr<Refusal> refusal(reinterpret_cast<Refusal*>(message.words[6])); refusal) {
    outcome.error = std::move(refusal->error);
    outcome.claims = std::move(refusal->claims);
  }
  return outcome;
}

}  // namespace terrazzo::app

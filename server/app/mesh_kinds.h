#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/app/shard_mover.h"
#include "server/app/version_desk.h"
#include "server/http/api.h"
#include "server/runtime/mesh.h"
#include "server/session/session_output.h"
#include "server/shard/messages.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

// What a MeshMessage is; words[0] owns the value named behind it.
enum class MeshKind : std::uint32_t {
  edit,          // shard::EditRequest
  coordinate,    // shard::CoordinatedRequest
  subscribe,     // shard::SubscribeRequest
  interest_off,  // shard::InterestOff
  refresh,       // shard::RefreshRequest
  states,        // shard::StatesReply
  publication,   // std::shared_ptr<const shard::Publication>
  outcome,       // shard::EditOutcome, for the author's home
  part_outcome,  // shard::EditOutcome, for the coordinator
  durable,       // shard::DurableMark
  presence,      // session::PresenceNote
  ask_presence,  // AskPresence
  presence_to,   // PresenceTo
  supersede,     // session::Connection
  metrics,       // MetricsAsk
  // Versions (app/version_desk.h); words[0] is a world where nothing else is named.
  version_ask,     // VersionAsk, for the world's coordinator core
  version_answer,  // VersionAnswer, for the core that asked
  hold,            // stop taking edits; words[1]: the core to tell
  held,
  cut,           // words[1]: the core to tell, words[2]: the version
  cut_done,      // words[1]: whether what came before is on disk
  drop_version,  // words[2]: the version
  pins,          // PinsGather: goes from owner to owner
  // Moves (app/shard_mover.h).
  move,         // MoveNote
  move_ask,     // MoveAsk, for the world's coordinator core
  move_answer,  // MoveAsk, for the core that asked
  log_covered,  // LogCovered, for a core the shard was on
};

struct VersionAnswer {
  std::unique_ptr<VersionAsk> ask;
  Result<NamedVersion> result;
};

// A shard is to go to another core. `done` runs on the core that asked.
struct MoveAsk {
  shard::ShardKey shard;
  shard::CoreId to = 0, asked_by = 0;
  Result<http::MovedShard> result;
  std::function<void(Result<http::MovedShard>)> done;
};

// A checkpoint has everything of the shard up to here.
struct LogCovered {
  shard::ShardKey shard;
  Lsn until;
};

// Which trees two states of a world are, shard by shard; goes from owner to owner, as an edit of the shards would, and
// comes back. A version of 0 is the present state, pinned as a snapshot for as long as somebody looks.
struct PinsGather {
  WorldId world;
  std::uint64_t a = 0, b = 0;
  std::uint64_t snapshot = 0;         // number of the snapshots
  bool release = false;               // second round: let the snapshots go
  std::vector<map::ShardPos> shards;  // that have files
  std::vector<map::ShardPos> left;    // of them, in this round; the present core's are being looked at from the front
  struct Shard {
    map::ShardPos position;
    std::string path;
    shardfile::Entry a, b;
    std::optional<shard::ShardContent> content;
  };
  bool with_content = false;  // of version `a`, instead of trees to compare
  std::vector<Shard> found;
  std::optional<Error> problem;  // with_content: a shard that could not be opened
  shard::CoreId asked_by = 0;
  std::function<void(std::unique_ptr<PinsGather>)> done;
};

struct AskPresence {
  WorldId world;
  shard::Origin newcomer;
};

struct PresenceTo {
  shard::Origin newcomer;
  session::PresenceNote note;
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

}  // namespace terrazzo::app

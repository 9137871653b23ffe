#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "server/runtime/mesh.h"
#include "server/session/session_output.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// What a MeshMessage is; words[0] owns the value named behind it.
enum class MeshKind : std::uint32_t {
  edit,          // shard::EditRequest
  coordinate,    // shard::CoordinatedRequest
  subscribe,     // shard::SubscribeRequest
  interest_off,  // shard::InterestOff
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

template <class T>
std::unique_ptr<T> unboxed(const runtime::MeshMessage& message) {
  return std::unique_ptr<T>(reinterpret_cast<T*>(message.words[0]));
}

}  // namespace terrazzo::app

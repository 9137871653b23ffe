#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "server/shard/messages.h"
#include "server/shard/shard_output.h"

namespace terrazzo::shard {

// Gives a world's edits over several shards one order and makes them atomic: the whole edit goes to the coordinator's own
// log first; once that is durable, the parts go to their shards, in the same order for all. Recovery rolls forward what
// a crash left half-way (Shard::roll_forward). Pure; lives on one core per world.
class Coordinator {
 public:
  // `last`: the largest coordinated number that recovery saw in any log or shard of the world.
  Coordinator(WorldId world, std::uint64_t last);
  ~Coordinator();

  void submit(std::unique_ptr<CoordinatedRequest> request, ShardOutput& out);
  void log_durable(std::uint64_t sequence, ShardOutput& out);
  // An outcome of a part (owner → coordinator). When all parts are applied, the author gets one outcome per shard, of stage
  // durable: the whole edit is on disk since before the parts went out. When all parts are durable in their shards' own
  // logs, the coordinator's record is not needed any more.
  void part_outcome(const EditOutcome& outcome, ShardOutput& out);
  void read_only(const Error& why);
  // The oldest log sequence that recovery may still need; nothing of it: the largest number.
  std::uint64_t oldest_needed() const;
  // Remembers ids seen in the log during recovery, so that a resubmitted edit is recognised.
  void replay(SessionId author, EditId id, std::uint64_t coordinated);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Payload of a `coordinated` log record ↔ request (used by recovery).
Result<std::unique_ptr<CoordinatedRequest>> decode_coordinated(std::span<const std::byte> payload);

}  // namespace terrazzo::shard

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>

#include "server/shard/claim_table.h"
#include "server/shard/messages.h"
#include "server/shard/shard_output.h"

namespace terrazzo::shard {

// Gives a world's edits over several shards one order and makes them atomic: the whole edit goes to the coordinator's
// own log first; once that is durable, the parts go to their shards, in the same order for all. Recovery rolls forward
// what a crash left half-way (Shard::roll_forward). An edit that a client sends again after a restart is recognised by
// its shards. Pure; lives on one core per world.
class Coordinator {
 public:
  // Numbers its edits incarnation × 2^32 + 1, 2, …: larger than any of an earlier run, without remembering one.
  Coordinator(WorldId world, Incarnation incarnation);
  ~Coordinator();

  // A new edit that claims of others are in the way of is refused; null: there are none.
  void submit(std::unique_ptr<CoordinatedRequest> request, ShardOutput& out, const ClaimTable* claims = nullptr);
  void log_durable(std::uint64_t sequence, ShardOutput& out);
  // An outcome of a part (owner → coordinator). When all parts are applied, the author gets one outcome per shard, of
  // stage durable: the whole edit is on disk since before the parts went out. When all parts are durable in their
  // shards' own logs, the coordinator's record is not needed any more.
  void part_outcome(const EditOutcome& outcome, ShardOutput& out);
  void read_only(const Error& why);
  // No decided edit waits for the log: the parts of all have been forwarded.
  bool all_forwarded() const;
  // The newest edit that was decided, and the oldest whose parts have not been forwarded; the largest number: none.
  std::uint64_t newest() const;
  std::uint64_t oldest_unsent() const;
  // Why a decided edit is not in all of its shards and will not be in this run of the server; none: there is no such
  // edit.
  std::optional<Error> undone() const;
  // The shards that edits of this run went to or will go to. Some may not exist yet: their part is still on its way.
  const std::unordered_set<map::ShardPos>& shards() const;
  // The oldest log sequence that recovery may still need; nothing of it: the largest number.
  std::uint64_t oldest_needed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Payload of a `coordinated` log record ↔ request (used by recovery).
Result<std::unique_ptr<CoordinatedRequest>> decode_coordinated(std::span<const std::byte> payload);

}  // namespace terrazzo::shard

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "server/shard/messages.h"
#include "server/shard/owner_table.h"

namespace terrazzo::app {

struct ShardLoad {
  shard::ShardKey shard;
  double work_per_s = 0;  // edits, encodings and chunk states
};

struct CoreLoad {
  shard::CoreId core = 0;
  double busy = 0;                // share of the time in which the core did not wait, 0 to 1
  std::vector<ShardLoad> shards;  // open ones, the hottest first
};

// Says when a shard should go to another core. Careful rather than quick: a core must be busy for a while, a move must
// leave both cores clearly less busy than the one was, and nothing is moved to and fro. Pure; time is an argument.
class Balancer {
 public:
  static constexpr double kBusy = 0.75;                       // from here on a core has too much to do …
  static constexpr double kGap = 0.25;                        // … if another one has so much less
  static constexpr double kGain = 0.10;                       // the receiver must end so much below where the giver was
  static constexpr std::uint64_t kBusyForNs = 5'000'000'000;  // of samples on end
  static constexpr std::uint64_t kPauseNs = 10'000'000'000;   // after a move: loads must show what it did
  static constexpr std::uint64_t kSettledNs = 120'000'000'000;  // before the same shard moves again

  struct Move {
    shard::ShardKey shard;
    shard::CoreId from = 0, to = 0;
  };
  // With a sample of every core, about once a second.
  std::optional<Move> decide(std::span<const CoreLoad> cores, std::uint64_t now_ns);

 private:
  std::optional<Move> choose(const CoreLoad& busiest, const CoreLoad& idlest, std::uint64_t now_ns);

  std::unordered_map<shard::CoreId, std::uint64_t> busy_since_ns_;
  std::unordered_map<shard::ShardKey, std::uint64_t, shard::ShardKeyHash> moved_ns_;
  std::optional<std::uint64_t> last_ns_;  // move
};

}  // namespace terrazzo::app

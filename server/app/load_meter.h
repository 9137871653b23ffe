#pragma once

#include <cstdint>
#include <vector>

#include "server/app/balancer.h"
#include "server/app/shard_table.h"

namespace terrazzo::app {

// How busy a core is and with which of its shards. One thread.
class LoadMeter {
 public:
  LoadMeter(shard::CoreId core, std::uint64_t now_ns) : sampled_ns_(now_ns) { load_.core = core; }

  // Since the sample before; what is younger than a second is given again. `busy_ns`: in which the core did not wait,
  // in all.
  const CoreLoad& sample(ShardTable& shards, std::uint64_t busy_ns, std::uint64_t now_ns);

 private:
  static constexpr std::uint64_t kAtLeastNs = 1'000'000'000;

  std::uint64_t sampled_ns_, busy_before_ns_ = 0;
  CoreLoad load_;
};

}  // namespace terrazzo::app

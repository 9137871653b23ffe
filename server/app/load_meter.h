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

  // The core begins to wait, and goes on; the times that its tick has taken anyway.
  void waits(std::uint64_t now_ns) { busy_ns_ += now_ns - woke_ns_; }
  void woke(std::uint64_t now_ns) { woke_ns_ = now_ns; }
  // Time in which it did not wait, since the start.
  std::uint64_t busy_ns() const { return busy_ns_; }

  // Since the sample before; what is younger than a second is given again.
  const CoreLoad& sample(ShardTable& shards, std::uint64_t now_ns);

 private:
  static constexpr std::uint64_t kAtLeastNs = 1'000'000'000;

  std::uint64_t busy_ns_ = 0, woke_ns_ = 0;
  std::uint64_t sampled_ns_, busy_before_ns_ = 0;
  CoreLoad load_;
};

}  // namespace terrazzo::app

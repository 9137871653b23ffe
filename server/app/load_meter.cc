#include "server/app/load_meter.h"

#include <algorithm>

namespace terrazzo::app {
namespace {

// Edits, encodings and states of chunks cost about as much each: half a microsecond to one.
std::uint64_t work_of(const shard::ShardCounters& counters) {
  return counters.edits + counters.rejected + counters.duplicates + counters.encodings + counters.chunks_sent +
         counters.subscriptions + counters.refreshes;
}

}  // namespace

const CoreLoad& LoadMeter::sample(ShardTable& shards, std::uint64_t busy_ns, std::uint64_t now_ns) {
  if (now_ns - sampled_ns_ < kAtLeastNs) return load_;
  const auto passed = static_cast<double>(now_ns - sampled_ns_);
  sampled_ns_ = now_ns;
  load_.busy = std::min(1.0, static_cast<double>(busy_ns - busy_before_ns_) / passed);
  busy_before_ns_ = busy_ns;
  load_.shards.clear();
  shards.for_each([&](ShardSlot& slot) {
    const std::uint64_t work = work_of(slot.shard->counters());
    load_.shards.push_back({slot.shard->key(), static_cast<double>(work - slot.work_before) * 1e9 / passed});
    slot.work_before = work;
  });
  std::ranges::sort(load_.shards, [](const ShardLoad& a, const ShardLoad& b) { return a.work_per_s > b.work_per_s; });
  return load_;
}

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/net/network.h"
#include "server/session/session.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

struct LogCounters {
  std::uint64_t records = 0, groups = 0, bytes = 0, sync_ns = 0, failures = 0;
};

struct ResidencyCounters {
  std::uint64_t resident_pages = 0, brought_pages = 0, damaged_pages = 0, released_pages = 0;
  std::uint64_t opened_shards = 0, waits = 0, wait_ns = 0, major_faults = 0, minor_faults = 0;
};

// One core's counters at a moment, taken by that core itself: nothing is counted across cores.
struct CoreSnapshot {
  unsigned core = 0;
  net::NetworkCounters network;
  session::SessionCounters sessions;
  std::uint64_t slow_connections = 0, stale_shards = 0;
  std::uint64_t session_count = 0, watched_chunks = 0, shards = 0, shard_pages = 0, checkpoints = 0, ticks = 0,
                system_calls = 0, reader_evictions = 0, busy_ns = 0, shards_taken = 0, shards_given = 0, parked_ns = 0;
  shard::ShardCounters shard;
  shard::EncodedChunks::Counters encoded;
  std::uint64_t encoded_bytes = 0;
  LogCounters log;
  ResidencyCounters residency;
};

// A request for /metrics on its way through all cores; the asking core answers when the last one has written its part.
struct MetricsGather {
  unsigned asked_by = 0;
  unsigned missing = 0;
  std::vector<CoreSnapshot> cores;
  std::function<void(std::string)> done;
};

// The text exposition of Prometheus (one line per core and series).
// What is not any one core's.
struct NodeSnapshot {
  std::uint64_t incarnation = 0;
  std::uint64_t history_bytes = 0, history_files = 0, history_sealed = 0, history_dropped = 0, history_failures = 0;
  struct Tls {
    std::int64_t expires_s = 0;  // since 1970
    std::uint64_t loads = 0, failures = 0;
  };
  std::optional<Tls> tls = {};
};
std::string metrics_page(const std::vector<CoreSnapshot>& cores, const NodeSnapshot& node);

}  // namespace terrazzo::app

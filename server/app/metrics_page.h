#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/app/authenticator.h"
#include "server/net/network.h"
#include "server/runtime/histogram.h"
#include "server/session/session.h"
#include "server/shard/claim_desk.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

struct LogCounters {
  std::uint64_t records = 0, groups = 0, bytes = 0, sync_ns = 0, failures = 0;
  // Of the groups that were written: from the hand-over to the disk until they are durable.
  runtime::Histogram group_ns{14}, group_records{0}, group_bytes{12};
};

// What a core's ticks are like.
struct TickCounters {
  std::uint64_t ticks = 0;
  // From waking up until everything is handed over again; calls made meanwhile and to wait; what was in the rings.
  runtime::Histogram busy_ns{10}, system_calls{0}, mesh_messages{0};
};

// What waits inside a core, at the moment.
struct QueueDepths {
  std::uint64_t edits_in_flight = 0, edits_waiting_for_log = 0, log_pending_bytes = 0, lobby_messages = 0,
                derivations = 0, mesh_backlog = 0, parked_edits = 0;
};

struct ResidencyCounters {
  std::uint64_t resident_pages = 0, brought_pages = 0, damaged_pages = 0, released_pages = 0;
  std::uint64_t prepared_pages = 0;
  std::uint64_t opened_shards = 0, waits = 0, wait_ns = 0, major_faults = 0, minor_faults = 0;
};

// One core's counters at a moment, taken by that core itself: nothing is counted across cores.
struct CoreSnapshot {
  unsigned core = 0;
  net::NetworkCounters network;
  session::SessionCounters sessions;
  std::uint64_t slow_connections = 0, stale_shards = 0, presence_encodings = 0;
  std::uint64_t session_count = 0, watched_chunks = 0, shards = 0, shard_pages = 0, checkpoints = 0, system_calls = 0,
                reader_evictions = 0, mesh_overflows = 0, shards_taken = 0, shards_given = 0, parked_ns = 0;
  TickCounters ticks;
  QueueDepths queues;
  shard::ShardCounters shard;
  shard::EncodedChunks::Counters encoded;
  std::uint64_t encoded_bytes = 0;
  std::uint64_t claims = 0;
  shard::ClaimCounters claim_counters;
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

// What is not any one core's.
struct NodeSnapshot {
  std::uint64_t incarnation = 0;
  std::uint64_t history_bytes = 0, history_files = 0, history_sealed = 0, history_dropped = 0, history_failures = 0;
  std::uint64_t worker_jobs = 0, page_worker_jobs = 0;  // waiting
  struct Tls {
    std::int64_t expires_s = 0;  // since 1970
    std::uint64_t loads = 0, failures = 0;
  };
  std::optional<Tls> tls = {};
  struct Keys {
    std::uint64_t count = 0, loads = 0, failures = 0;
  };
  std::optional<Keys> keys = {};  // of tokens
  Authenticator::ByReason tokens_refused{};
};
// The text exposition of Prometheus: one series per core.
std::string metrics_page(const std::vector<CoreSnapshot>& cores, const NodeSnapshot& node);

}  // namespace terrazzo::app

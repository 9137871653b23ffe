// Connections that only wait: what they cost in memory, how they spread over the cores, and what those that work
// notice.
#include <fmt/format.h>

#include <algorithm>

#include "loadtest/memory.h"
#include "loadtest/process_cpu.h"
#include "loadtest/progress.h"
#include "loadtest/server_metrics.h"
#include "loadtest/stage.h"

namespace terrazzo::loadtest {
namespace {

constexpr map::Rect kActivePlace = map::Rect::of_size(0, 0, 128, 128);
// In another shard: nothing that happens at the active place is told there.
constexpr map::Rect kIdlePlace = map::Rect::of_size(1 << 20, 0, 64, 64);

void add_memory(Findings& findings, std::uint32_t idle, std::uint64_t user, const KernelMemory& before,
                const KernelMemory& after) {
  const auto each = [&](std::uint64_t bytes_after, std::uint64_t bytes_before) {
    return (static_cast<double>(bytes_after) - static_cast<double>(bytes_before)) / idle;
  };
  findings.add("user_bytes_per_idle_connection", "server memory per idle connection (session, world and subscription)",
               static_cast<double>(user) / idle, "bytes");
  findings.add("kernel_slab_bytes_per_idle_connection", "kernel objects per connection, both ends (whole machine)",
               each(after.slab_bytes, before.slab_bytes), "bytes");
  findings.add("kernel_buffer_bytes_per_idle_connection", "kernel buffers per connection, both ends (whole machine)",
               each(after.tcp_bytes, before.tcp_bytes), "bytes");
}

// The kernel chooses the core by a hash: of this many, none gets less than half its share, unless something is wrong.
void add_spread(Findings& findings, const ServerMetrics& metrics, std::uint64_t connections) {
  const std::vector<double> accepted = metrics.each("terrazzo_accepted_total");
  for (std::size_t core = 0; core < accepted.size(); ++core)
    findings.add(fmt::format("accepted_core_{}", core), fmt::format("connections accepted by core {}", core),
                 accepted[core], "");
  const double fair = static_cast<double>(connections) / static_cast<double>(std::max<std::size_t>(accepted.size(), 1));
  const double least = accepted.empty() ? 0 : std::ranges::min(accepted);
  findings.add("least_share", "the least busy core's part of a fair share", 100 * least / fair, "%");
  if (connections >= 1000 && least < fair / 2) findings.problem("one core was starved of connections");
}

}  // namespace

Result<Findings> run_idle(const IdleOptions& options) {
  const std::uint32_t connections = options.idle + options.active;
  Result<std::unique_ptr<OwnServer>> server = start_stage(options, connections);
  if (!server) return server.error();
  Findings findings(fmt::format("{} idle connections beside {} active ones", options.idle, options.active));

  Cast cast(options, **server, options.edits_per_second, options.seconds, {options.active, kActivePlace},
            {options.idle, kIdlePlace});
  Result<Painted> alone = cast.begin("the active ones alone");
  if (!alone) return alone.error();

  const KernelMemory kernel_before = KernelMemory::now();
  const std::uint64_t user_before = resident_bytes((*server)->pid());
  const std::uint64_t began = now_ns();
  {
    const Attendance attendance(cast.painters);
    const Progress progress([&] { return elapsed(began, 60, fmt::format("{} idle clients join", options.idle)); });
    if (Status joined = join(cast.others); !joined) return joined.error();
  }
  findings.add("idle_join_seconds", "time for all idle ones to join", static_cast<double>(now_ns() - began) / 1e9, "s",
               2);
  const std::uint64_t user_after = resident_bytes((*server)->pid());
  add_memory(findings, options.idle, user_after - std::min(user_after, user_before), kernel_before,
             KernelMemory::now());

  Painted together;
  {
    const Attendance attendance(cast.others);
    together = cast.paint("the active ones beside them");
  }
  const Result<ServerMetrics> metrics = ServerMetrics::take((*server)->port());
  if (!metrics) return metrics.error();
  add_spread(findings, *metrics, connections);
  findings.add("connections", "connections open at the end", metrics->sum("terrazzo_connections") - 1, "");
  add_latencies(findings, "alone", "active ones alone", alone->figures);
  add_latencies(findings, "together", "beside the idle ones", together.figures);
  if (!alone->settled || !together.settled) findings.problem("some edits got no answer within a minute");
  if (metrics->sum("terrazzo_connections") - 1 < connections) findings.problem("some connections were lost");
  if (Status verified = add_verification(findings, cast.painter_options, cast.painters, "active"); !verified)
    return verified.error();
  return findings;
}

}  // namespace terrazzo::loadtest

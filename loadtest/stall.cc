// Clients that stop reading: what they cost in memory, what the others notice, and whether all have the same in the
// end.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "loadtest/memory.h"
#include "loadtest/progress.h"
#include "loadtest/server_metrics.h"
#include "loadtest/stage.h"

namespace terrazzo::loadtest {
namespace {

constexpr map::Rect kPlace = map::Rect::of_size(0, 0, 128, 128);
constexpr std::uint64_t kFillNs = 60'000'000'000;

// Large edits until the server leaves all of them out: what their own kernel buffers take comes first.
Status fill(const OwnServer& server, std::uint32_t stalled, const Crowds& painters) {
  double slow = 0;
  const Progress progress([&] {
    return Progress::View{slow / stalled, fmt::format("until {} clients that do not read are left out", stalled)};
  });
  const std::uint64_t until = now_ns() + kFillNs;
  while (slow < stalled) {
    if (now_ns() > until)
      return Error{ErrorCode::overloaded,
                   fmt::format("only {} of {} clients were left out within a minute", slow, stalled)};
    painters.front()->paint_large(kPlace, 32);
    if (!painters.front()->settle(until))
      return Error{ErrorCode::overloaded, "large edits were not answered within a minute"};
    const Result<ServerMetrics> metrics = ServerMetrics::take(server.port());
    if (!metrics) return metrics.error();
    slow = metrics->sum("terrazzo_slow_sessions");
  }
  return {};
}

void add_memory(Findings& findings, const StallOptions& options, const OwnServer& server, std::uint64_t user_before,
                const ServerMetrics& metrics) {
  const std::uint64_t user_after = resident_bytes(server.pid());
  const SendQueues queues = SendQueues::of_port(server.port());
  findings.add("user_bytes_per_stalled_client", "server memory per stalled client",
               (static_cast<double>(user_after) - static_cast<double>(user_before)) / options.stalled, "bytes");
  findings.add("queued_bytes_per_stalled_client", "of that queued (shared frames counted for each)",
               metrics.sum("terrazzo_outbox_bytes") / options.stalled, "bytes");
  findings.add("kernel_bytes_per_stalled_client", "in the kernel's send buffer per stalled client",
               static_cast<double>(queues.bytes) / options.stalled, "bytes");
  findings.add("kernel_bytes_at_most", "in the kernel's send buffer of one connection at most",
               static_cast<double>(queues.bytes_of_longest), "bytes");
  findings.add("edits_left_out", "edits left out for stalled clients", metrics.sum("terrazzo_edits_left_out_total"),
               "");
}

}  // namespace

Result<Findings> run_stall(const StallOptions& options) {
  Result<std::unique_ptr<OwnServer>> server = start_stage(options, options.stalled + options.painters);
  if (!server) return server.error();
  Findings findings(fmt::format("{} clients stop reading while {} paint", options.stalled, options.painters));

  Cast cast(options, **server, options.edits_per_second, options.seconds, {options.painters, kPlace},
            {options.stalled, kPlace});
  Result<Painted> before = cast.begin("without anybody stalled");
  if (!before) return before.error();

  if (Status joined = join(cast.others); !joined) return joined.error();
  // From here on nobody runs them: they do not read.
  const std::uint64_t user_before = resident_bytes((*server)->pid());
  if (Status filled = fill(**server, options.stalled, cast.painters); !filled) return filled.error();
  for (const auto& crowd : cast.painters) (void)crowd->take_figures();
  Painted meanwhile = cast.paint(fmt::format("while {} are stalled", options.stalled));
  const Result<ServerMetrics> metrics = ServerMetrics::take((*server)->port());
  if (!metrics) return metrics.error();
  add_memory(findings, options, **server, user_before, *metrics);
  add_latencies(findings, "before", "without stalled clients", before->figures);
  add_latencies(findings, "stalled", "with stalled clients", meanwhile.figures);
  if (before->figures.delivery.count() != 0 && meanwhile.figures.delivery.count() != 0)
    findings.add(
        "p99_ratio", "p99 of the others' sight: with, over without",
        meanwhile.figures.delivery.percentile(0.99) / std::max(1.0, 1.0 * before->figures.delivery.percentile(0.99)),
        "", 2);
  if (!before->settled || !meanwhile.settled) findings.problem("some edits got no answer within a minute");
  if (metrics->sum("terrazzo_overloads_total") != 0) findings.problem("connections were closed for not reading");

  const std::uint64_t began = now_ns();
  if (Status verified = add_verification(findings, cast.other_options, cast.others, "stalled, after they read again");
      !verified)
    return verified.error();
  findings.add("catch_up_seconds", "time for all of them to read and compare",
               static_cast<double>(now_ns() - began) / 1e9, "s", 2);
  return findings;
}

}  // namespace terrazzo::loadtest

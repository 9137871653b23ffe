// Clients that stop reading: what they cost in memory, what the others notice, and whether all have the same in the
// end.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "loadtest/memory.h"
#include "loadtest/progress.h"
#include "loadtest/server_metrics.h"
#include "loadtest/stage.h"
#include "loadtest/verify.h"

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

// Of one server: how the painters did without the stalled clients and with them, one after the other.
struct Round {
  double seen_without_ms = 0, seen_with_ms = 0, durable_without_ms = 0, durable_with_ms = 0;  // p99
  double seen_without_p50_ms = 0, seen_with_p50_ms = 0;
  double user_bytes = 0, queued_bytes = 0, kernel_bytes = 0;  // per stalled client
  double kernel_bytes_at_most = 0, edits_left_out = 0, replicas_equal = 0, catch_up_seconds = 0;
};

double ms(Latencies& latencies, double share) {
  return latencies.count() == 0 ? 0 : latencies.percentile(share) / 1000.0;
}

void add_memory(Round& round, std::uint32_t stalled, const OwnServer& server, std::uint64_t user_before,
                const ServerMetrics& metrics) {
  const std::uint64_t user_after = resident_bytes(server.pid());
  const SendQueues queues = SendQueues::of_port(server.port());
  round.user_bytes = (static_cast<double>(user_after) - static_cast<double>(user_before)) / stalled;
  round.queued_bytes = metrics.sum("terrazzo_outbox_bytes") / stalled;
  round.kernel_bytes = static_cast<double>(queues.bytes) / stalled;
  round.kernel_bytes_at_most = static_cast<double>(queues.bytes_of_longest);
  round.edits_left_out = metrics.sum("terrazzo_edits_left_out_total");
}

void add_latencies(Round& round, Findings& findings, Painted& before, Painted& meanwhile) {
  round.seen_without_ms = ms(before.figures.delivery, 0.99);
  round.seen_with_ms = ms(meanwhile.figures.delivery, 0.99);
  round.seen_without_p50_ms = ms(before.figures.delivery, 0.5);
  round.seen_with_p50_ms = ms(meanwhile.figures.delivery, 0.5);
  round.durable_without_ms = ms(before.figures.ack, 0.99);
  round.durable_with_ms = ms(meanwhile.figures.ack, 0.99);
  for (const Painted* painted : {&before, &meanwhile}) {
    if (!painted->settled) findings.problem("some edits got no answer within a minute");
    if (painted->figures.rejected + painted->figures.refused != 0)
      findings.problem(
          fmt::format("{} edits were rejected or refused", painted->figures.rejected + painted->figures.refused));
  }
}

Result<Round> run_round(const StallOptions& options, const std::string& words, Findings& findings) {
  Result<std::unique_ptr<OwnServer>> server = start_stage(options, options.stalled + options.painters);
  if (!server) return server.error();
  Cast cast(options, **server, options.edits_per_second, options.seconds, {options.painters, kPlace},
            {options.stalled, kPlace});
  Result<Painted> before = cast.begin(words + "without anybody stalled");
  if (!before) return before.error();

  if (Status joined = join(cast.others); !joined) return joined.error();
  // From here on nobody runs them: they do not read.
  const std::uint64_t user_before = resident_bytes((*server)->pid());
  if (Status filled = fill(**server, options.stalled, cast.painters); !filled) return filled.error();
  for (const auto& crowd : cast.painters) (void)crowd->take_figures();
  Painted meanwhile = cast.paint(words + fmt::format("while {} are stalled", options.stalled));
  const Result<ServerMetrics> metrics = ServerMetrics::take((*server)->port());
  if (!metrics) return metrics.error();
  Round round;
  add_memory(round, options.stalled, **server, user_before, *metrics);
  add_latencies(round, findings, *before, meanwhile);
  if (metrics->sum("terrazzo_overloads_total") != 0) findings.problem("connections were closed for not reading");

  const std::uint64_t began = now_ns();
  Result<Verification> verified = verify(cast.other_options, cast.others);
  if (!verified) return verified.error();
  round.catch_up_seconds = static_cast<double>(now_ns() - began) / 1e9;
  round.replicas_equal = verified->different == 0 ? static_cast<double>(verified->replicas) : 0;
  if (verified->different != 0)
    findings.problem(fmt::format("{} of {} cells differ; first: {}", verified->different, verified->cells,
                                 verified->first_difference));
  return round;
}

double median(const std::vector<Round>& rounds, const std::function<double(const Round&)>& value) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(value(round));
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void add_medians(Findings& findings, const std::vector<Round>& rounds) {
  const auto add = [&](const char* key, const char* words, const char* unit, int decimals,
                       const std::function<double(const Round&)>& value) {
    findings.add(key, words, median(rounds, value), unit, decimals);
  };
  add("user_bytes_per_stalled_client", "server memory per stalled client", "bytes", 0,
      [](const Round& r) { return r.user_bytes; });
  add("queued_bytes_per_stalled_client", "of that queued (shared frames counted for each)", "bytes", 0,
      [](const Round& r) { return r.queued_bytes; });
  add("kernel_bytes_per_stalled_client", "in the kernel's send buffer per stalled client", "bytes", 0,
      [](const Round& r) { return r.kernel_bytes; });
  add("kernel_bytes_at_most", "in the kernel's send buffer of one connection at most", "bytes", 0,
      [](const Round& r) { return r.kernel_bytes_at_most; });
  add("edits_left_out", "edits left out for stalled clients", "", 0, [](const Round& r) { return r.edits_left_out; });
  add("before_seen_p50_ms", "without stalled clients: edit to its sight at another client, p50", "ms", 2,
      [](const Round& r) { return r.seen_without_p50_ms; });
  add("before_seen_p99_ms", "without stalled clients: edit to its sight at another client, p99", "ms", 2,
      [](const Round& r) { return r.seen_without_ms; });
  add("stalled_seen_p50_ms", "with stalled clients: edit to its sight at another client, p50", "ms", 2,
      [](const Round& r) { return r.seen_with_p50_ms; });
  add("stalled_seen_p99_ms", "with stalled clients: edit to its sight at another client, p99", "ms", 2,
      [](const Round& r) { return r.seen_with_ms; });
  add("before_durable_p99_ms", "without stalled clients: edit to durable, p99", "ms", 2,
      [](const Round& r) { return r.durable_without_ms; });
  add("stalled_durable_p99_ms", "with stalled clients: edit to durable, p99", "ms", 2,
      [](const Round& r) { return r.durable_with_ms; });
  add("p99_ratio", "p99 of the others' sight: with, over without, of each pair", "", 2,
      [](const Round& r) { return r.seen_with_ms / std::max(0.001, r.seen_without_ms); });
  add("catch_up_seconds", "time for all of them to read and compare", "s", 2,
      [](const Round& r) { return r.catch_up_seconds; });
  double equal = rounds.front().replicas_equal;
  for (const Round& round : rounds) equal = std::min(equal, round.replicas_equal);
  findings.add("replicas_equal", "replicas equal to the server's state, cell by cell: stalled, after they read again",
               equal, "");
}

}  // namespace

// Each pair has a server of its own, so that both of its halves meet the same machine and none the remains of another.
Result<Findings> run_stall(const StallOptions& options) {
  Findings findings(fmt::format("{} clients stop reading while {} paint; medians of {} pairs", options.stalled,
                                options.painters, options.rounds));
  std::vector<Round> rounds;
  for (std::uint32_t i = 0; i < options.rounds; ++i) {
    Result<Round> round = run_round(options, fmt::format("{} of {}: ", i + 1, options.rounds), findings);
    if (!round) return round.error();
    rounds.push_back(*round);
    findings.add(fmt::format("pair_{}_p99_ms", i + 1), fmt::format("pair {}: p99 of the others' sight without", i + 1),
                 round->seen_without_ms, "ms", 2);
    findings.add(fmt::format("pair_{}_stalled_p99_ms", i + 1), "  with", round->seen_with_ms, "ms", 2);
  }
  add_medians(findings, rounds);
  return findings;
}

}  // namespace terrazzo::loadtest

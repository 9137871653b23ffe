// Everybody loses the connection at once: how long until all see the map again, and what that costs the server.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "loadtest/process_cpu.h"
#include "loadtest/progress.h"
#include "loadtest/server_metrics.h"
#include "loadtest/stage.h"

namespace terrazzo::loadtest {
namespace {

constexpr map::Rect kPlace = map::Rect::of_size(0, 0, 128, 128);
// In the same shard, so that the same core has the work, but seen by the painters only: with thousands of viewers of
// every edit one would measure how fast this program reads.
constexpr map::Rect kPaintersPlace = map::Rect::of_size(256, 0, 128, 128);
constexpr int kStamps = 64;  // enough to change every chunk
constexpr std::uint64_t kBackNs = 120'000'000'000;

// What has changed since; where the server was started again, all it says is since then.
struct Since {
  const ServerMetrics* before;
  const ServerMetrics& after;
  double operator()(const std::string& name) const { return after.sum(name) - (before ? before->sum(name) : 0); }
};

void add_costs(Findings& findings, const Since& since, std::uint32_t clients) {
  const auto add = [&](const char* key, const char* words, const std::string& metric) {
    findings.add(key, words, since(metric), "");
  };
  add("accepted", "connections accepted", "terrazzo_accepted_total");
  add("waits", "receives of newcomers that waited for a later tick", "terrazzo_newcomer_waits_total");
  add("chunks_sent", "chunk states sent", "terrazzo_chunks_sent_total");
  add("encodings", "chunk states encoded", "terrazzo_encoded_chunk_misses_total");
  add("shared", "chunk states sent without encoding them again", "terrazzo_encoded_chunk_hits_total");
  findings.add("sent_bytes", "bytes sent", since("terrazzo_sent_bytes_total"), "bytes");
  findings.add("sent_bytes_per_client", "bytes sent per client", since("terrazzo_sent_bytes_total") / clients, "bytes");
}

// The thread of thousands of clients is not to stand in the way of the painters' and the server's on a machine that has
// fewer cores: what these notice is measured, and clients have machines of their own.
void step_back() {
  constexpr int kNice = 5;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

// Until every client of the group has been connected again and sees its area. Seconds; negative: not within the time.
double wait_for_all(const Crowds& crowds, std::uint32_t clients) {
  const std::uint64_t began = now_ns();
  std::atomic<std::size_t> back{0};
  std::atomic<bool> all{true};
  {
    const Progress progress([&] {
      return Progress::View{static_cast<double>(back.load()) / clients,
                            fmt::format("{} of {} see the map again", back.load(), clients)};
    });
    each(crowds, [&](Crowd& crowd) {
      step_back();
      std::size_t counted = 0;
      const auto look = [&] {
        const std::size_t now = crowd.seeing_again();
        back += now - counted;
        counted = now;
        return now == crowd.clients().size();
      };
      if (!crowd.run_until(look, now_ns() + kBackNs)) all = false;
    });
  }
  return all ? static_cast<double>(now_ns() - began) / 1e9 : -1;
}

// What the clients look at is not as it was.
Status change_place(const Crowds& painters) {
  painters.front()->paint_large(kPlace, kStamps);
  const bool answered = painters.front()->settle(now_ns() + kBackNs);
  for (const auto& crowd : painters) (void)crowd->take_figures();
  return answered ? Status() : Error{ErrorCode::overloaded, "large edits were not answered within two minutes"};
}

const char* words_of(StormOptions::Cause cause) {
  switch (cause) {
    case StormOptions::Cause::cut:
      return "lose their connections at once";
    case StormOptions::Cause::killed:
      return "come back after the server was killed and started again";
    case StormOptions::Cause::stopped:
      return "come back after the server was stopped and started again";
  }
  return "";
}

}  // namespace

Result<Findings> run_storm(const StormOptions& options) {
  const std::uint32_t everybody = options.clients + options.painters;
  Result<std::unique_ptr<OwnServer>> server = start_stage(options, 2 * everybody);  // the old ones may still be there
  if (!server) return server.error();
  Findings findings(fmt::format("{} clients {}", options.clients, words_of(options.cause)));
  const bool cut = options.cause == StormOptions::Cause::cut;

  Cast cast(options, **server, options.edits_per_second, options.seconds, {options.painters, kPaintersPlace},
            {options.clients, kPlace});
  const Crowds& clients = cast.others;
  Result<Painted> before = cast.begin("before the storm");
  if (!before) return before.error();
  if (Status changed = change_place(cast.painters); !changed) return changed.error();
  if (Status joined = join(clients); !joined) return joined.error();

  const Result<ServerMetrics> metrics_before = ServerMetrics::take((*server)->port());
  if (!metrics_before) return metrics_before.error();
  for (const auto& crowd : clients) crowd->begin_storm(cut);
  if (!cut) {
    const Attendance attendance(clients);  // a server that stops waits for their goodbyes
    (*server)->stop(options.cause == StormOptions::Cause::killed ? SIGKILL : SIGTERM);
    if (Status again = (*server)->start_again(); !again) return again.error();
  } else {
    // The map changes before they are back, so that there is something to send.
    if (Status changed = change_place(cast.painters); !changed) return changed.error();
  }
  const std::optional<double> cpu_before = process_cpu_seconds((*server)->pid());
  Painted during;
  double seconds = 0;
  if (cut) {
    std::thread painting([&] { during = cast.paint("during the storm"); });
    seconds = wait_for_all(clients, options.clients);
    painting.join();
  } else {
    const Attendance attendance(cast.painters);
    seconds = wait_for_all(clients, options.clients);
  }
  const std::optional<double> cpu_after = process_cpu_seconds((*server)->pid());
  const Result<ServerMetrics> metrics = ServerMetrics::take((*server)->port());
  if (!metrics) return metrics.error();
  if (seconds < 0) findings.problem("not everybody was back within two minutes");
  findings.add("back_seconds",
               cut ? "time until all see the map again (0.05 to 0.4 s are the clients' own delay)"
                   : "time from the server's start until all see the map again",
               seconds, "s", 2);
  add_costs(findings, {cut ? &*metrics_before : nullptr, *metrics}, options.clients);
  if (cpu_before && cpu_after)
    findings.add("cpu_us_per_client", cut ? "server CPU per client, the painting included" : "server CPU per client",
                 (*cpu_after - *cpu_before) * 1e6 / options.clients, "us");
  add_latencies(findings, "before", "before", before->figures);
  add_latencies(findings, "during", "painters while the others come back", during.figures);
  if (!before->settled || !during.settled) findings.problem("some edits got no answer within a minute");
  if (Status verified = add_verification(findings, cast.other_options, cast.others, "all that came back"); !verified)
    return verified.error();
  return findings;
}

}  // namespace terrazzo::loadtest

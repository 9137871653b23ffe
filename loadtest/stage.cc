#include "loadtest/stage.h"

#include <fmt/format.h>

#include <mutex>

#include "loadtest/memory.h"
#include "loadtest/progress.h"
#include "loadtest/verify.h"

namespace terrazzo::loadtest {
namespace {

constexpr std::uint64_t kSettleNs = 60'000'000'000;
// Standard streams, event loops, the server's files and shards.
constexpr std::uint64_t kOtherFiles = 256;

// The first `painters` of the group paint.
Options group_options(const StageOptions& stage, const OwnServer& server, const Cast::Group& group,
                      std::uint32_t painters, double edits_per_second, double seconds) {
  Options options;
  options.server = server.url();
  options.world = kStageWorld;
  options.clients = group.clients;
  options.painters = painters;
  options.rate = painters == 0 ? 1 : edits_per_second / painters;
  options.seconds = seconds;
  options.threads = stage.threads;
  options.seed = stage.seed;
  options.area = group.place;
  return options;
}

}  // namespace

Result<std::unique_ptr<OwnServer>> start_stage(const StageOptions& options, std::uint64_t connections) {
  if (Status allowed = allow_open_files(connections + kOtherFiles); !allowed) return allowed.error();
  std::vector<std::string> flags{"--connections-max", std::to_string(connections + kOtherFiles)};
  if (!options.io.empty()) flags.insert(flags.end(), {"--io", options.io});
  if (options.cores != 0) flags.insert(flags.end(), {"--cores", std::to_string(options.cores)});
  Result<std::unique_ptr<OwnServer>> server = OwnServer::start(options.server_program, flags);
  if (!server) return server;
  if (Status made = (*server)->make_world(kStageWorld); !made) return made.error();
  return server;
}

Cast::Cast(const StageOptions& stage, const OwnServer& server, double edits_per_second, double seconds, Group painting,
           Group other)
    : times(painting.clients),
      painter_options(group_options(stage, server, painting, painting.clients, edits_per_second, seconds)),
      other_options(group_options(stage, server, other, 0, 0, seconds)),
      painters(make_group(painter_options, 0, painting.clients, times)),
      others(make_group(other_options, painting.clients, other.clients, times)) {}

Result<Painted> Cast::begin(const std::string& words) {
  if (Status joined = join(painters); !joined) return joined.error();
  introduce(painters, painters);
  return paint(words);
}

Painted Cast::paint(const std::string& words) {
  Painted painted;
  const std::uint64_t began = now_ns(), until = began + static_cast<std::uint64_t>(painter_options.seconds * 1e9);
  const Progress progress([&] { return elapsed(began, painter_options.seconds, words); });
  std::mutex mutex;
  each(painters, [&](Crowd& crowd) {
    crowd.paint(until);
    const bool settled = crowd.settle(now_ns() + kSettleNs);
    const std::lock_guard lock(mutex);
    painted.settled = painted.settled && settled;
  });
  painted.seconds = static_cast<double>(now_ns() - began) / 1e9;
  for (const auto& crowd : painters) painted.figures.merge(crowd->take_figures());
  return painted;
}

void add_latencies(Findings& findings, const std::string& key, const std::string& words, Figures& figures) {
  const auto add = [&](const char* name, const char* what, Latencies& latencies, double share, const char* percentile) {
    if (latencies.count() == 0) return;
    findings.add(key + "_" + name + "_" + percentile + "_ms", fmt::format("{}: {}, {}", words, what, percentile),
                 latencies.percentile(share) / 1000.0, "ms", 2);
  };
  add("seen", "edit to its sight at another client", figures.delivery, 0.5, "p50");
  add("seen", "edit to its sight at another client", figures.delivery, 0.99, "p99");
  add("durable", "edit to durable", figures.ack, 0.5, "p50");
  add("durable", "edit to durable", figures.ack, 0.99, "p99");
  if (figures.rejected + figures.refused != 0)
    findings.problem(fmt::format("{}: {} edits were rejected or refused", words, figures.rejected + figures.refused));
}

Status add_verification(Findings& findings, const Options& options, Crowds& crowds, const std::string& who) {
  const Result<Verification> verified = verify(options, crowds);
  if (!verified) return verified.error();
  findings.add("replicas_equal", "replicas equal to the server's state, cell by cell: " + who,
               verified->different == 0 ? static_cast<double>(verified->replicas) : 0, "");
  if (verified->different != 0)
    findings.problem(fmt::format("{} of {} cells differ; first: {}", verified->different, verified->cells,
                                 verified->first_difference));
  return {};
}

}  // namespace terrazzo::loadtest

#include <fmt/format.h>

#include <cstdio>

#include "loadtest/command_line.h"
#include "loadtest/group.h"
#include "loadtest/memory.h"
#include "loadtest/process_cpu.h"
#include "loadtest/progress.h"
#include "loadtest/report.h"
#include "loadtest/stage.h"
#include "loadtest/verify.h"

namespace terrazzo::loadtest {
namespace {

constexpr std::uint64_t kSettleNs = 30'000'000'000;
constexpr std::uint64_t kOtherFiles = 64;  // standard streams, threads' event loops

// What has been sent and delivered so far, and how much a second since it was last asked.
class PaintingView {
 public:
  PaintingView(const Options& options, const Crowds& crowds)
      : options_(options), crowds_(crowds), began_(now_ns()), last_ns_(began_) {}
  Progress::View operator()() {
    std::uint64_t sent = 0, delivered = 0;
    for (const auto& crowd : crowds_) {
      sent += crowd->sent();
      delivered += crowd->delivered();
    }
    const std::uint64_t now = now_ns();
    const double rate = static_cast<double>(delivered - last_delivered_) * 1e9 / static_cast<double>(now - last_ns_);
    last_delivered_ = delivered;
    last_ns_ = now;
    return elapsed(began_, options_.seconds,
                   fmt::format("{} edits sent, {} delivered, {:.0f} deliveries/s", sent, delivered, rate));
  }

 private:
  const Options& options_;
  const Crowds& crowds_;
  std::uint64_t began_, last_ns_, last_delivered_ = 0;
};

Outcome paint_at(const Options& options, const Crowds& crowds) {
  Outcome outcome;
  const auto cpu = [&] { return options.server_pid ? process_cpu_seconds(*options.server_pid) : std::nullopt; };
  const std::optional<double> cpu_before = cpu();
  const std::uint64_t began = now_ns();
  {
    const Progress progress(PaintingView(options, crowds));
    const std::uint64_t until = began + static_cast<std::uint64_t>(options.seconds * 1e9);
    std::atomic<bool> settled{true};
    each(crowds, [&](Crowd& crowd) {
      crowd.paint(until);
      if (!crowd.settle(now_ns() + kSettleNs)) settled.store(false);
    });
    outcome.settled = settled.load();
  }
  outcome.seconds = static_cast<double>(now_ns() - began) / 1e9;
  const std::optional<double> cpu_after = cpu();
  if (cpu_before && cpu_after) outcome.server_cpu_seconds = *cpu_after - *cpu_before;
  return outcome;
}

Result<Outcome> run_painting(const Options& options) {
  if (Status allowed = allow_open_files(options.clients + kOtherFiles); !allowed) return allowed.error();
  SendTimes times(options.clients);
  Crowds crowds = make_group(options, 0, options.clients, times);
  if (Status joined = join(crowds); !joined) return joined.error();
  introduce(crowds, crowds);
  Outcome outcome = paint_at(options, crowds);
  if (options.verify) {
    Result<Verification> verified = verify(options, crowds);
    if (!verified) return verified.error();
    outcome.verification = *std::move(verified);
  }
  for (const auto& crowd : crowds) outcome.figures.merge(crowd->figures());
  return outcome;
}

int failed(const Error& error) {
  std::fprintf(stderr, "terrazzo-load: %s\n", error.message.c_str());
  return 1;
}

int paint_and_report(const Options& options) {
  Result<Outcome> outcome = run_painting(options);
  if (!outcome) return failed(outcome.error());
  print_report(options, *outcome);
  if (const Status written = write_json(options, *outcome); !written) return failed(written.error());
  return outcome->good() ? 0 : 1;
}

int report(const Result<Findings>& findings, const StageOptions& options) {
  if (!findings) return failed(findings.error());
  findings->print();
  if (const Status written = findings->write_json(options.json_file); !written) return failed(written.error());
  return findings->good() ? 0 : 1;
}

}  // namespace
}  // namespace terrazzo::loadtest

int main(int argc, char** argv) {
  using namespace terrazzo::loadtest;
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  switch (line.mode) {
    case Mode::idle:
      return report(run_idle(line.idle), line.idle);
    case Mode::stall:
      return report(run_stall(line.stall), line.stall);
    case Mode::storm:
      return report(run_storm(line.storm), line.storm);
    case Mode::paint:
      return paint_and_report(line.options);
  }
  return 1;
}

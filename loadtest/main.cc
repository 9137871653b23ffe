#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "loadtest/crowd.h"
#include "loadtest/options.h"
#include "loadtest/process_cpu.h"
#include "loadtest/report.h"
#include "loadtest/verify.h"

namespace terrazzo::loadtest {
namespace {

using Crowds = std::vector<std::unique_ptr<Crowd>>;
constexpr std::uint64_t kSettleNs = 30'000'000'000;

// Runs one step of every crowd on a thread of its own.
template <class Step>
void each(Crowds& crowds, Step&& step) {
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < crowds.size(); ++i) threads.emplace_back([&, i] { step(i, *crowds[i]); });
  step(0, *crowds[0]);
  for (std::thread& thread : threads) thread.join();
}

Status join(Crowds& crowds) {
  std::vector<Status> outcomes(crowds.size());
  each(crowds, [&](std::size_t i, Crowd& crowd) { outcomes[i] = crowd.join(); });
  for (const Status& outcome : outcomes)
    if (!outcome) return outcome;
  auto painters = std::make_shared<std::unordered_map<std::uint64_t, std::size_t>>();
  for (const auto& crowd : crowds)
    for (std::size_t i = 0; i < crowd->clients().size(); ++i)
      painters->emplace(crowd->clients()[i]->session().value, crowd->first_client() + i);
  for (const auto& crowd : crowds) crowd->know(painters);
  return {};
}

// One line, redrawn on a terminal; a line every five seconds elsewhere.
class Progress {
 public:
  Progress(const Options& options, const Crowds& crowds)
      : options_(options), crowds_(crowds), began_(now_ns()), thread_([this] { run(); }) {}
  ~Progress() {
    stop_.store(true);
    thread_.join();
    if (tty_) std::fputs("\r\033[K", stderr);
  }

 private:
  void run() {
    std::uint64_t last_delivered = 0, last_ns = began_;
    while (!stop_.load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      const std::uint64_t now = now_ns();
      if (now - last_ns < (tty_ ? 500'000'000u : 5'000'000'000u)) continue;
      std::uint64_t sent = 0, delivered = 0;
      for (const auto& crowd : crowds_) {
        sent += crowd->sent();
        delivered += crowd->delivered();
      }
      const double rate = static_cast<double>(delivered - last_delivered) * 1e9 / static_cast<double>(now - last_ns);
      fmt::print(stderr, "{}{:5.1f} of {:.0f} s  {} edits sent, {} delivered, {:.0f} deliveries/s{}",
                 tty_ ? "\r\033[K" : "", static_cast<double>(now - began_) / 1e9, options_.seconds, sent, delivered,
                 rate, tty_ ? "" : "\n");
      last_delivered = delivered;
      last_ns = now;
    }
  }

  const Options& options_;
  const Crowds& crowds_;
  const std::uint64_t began_;
  const bool tty_ = ::isatty(STDERR_FILENO) == 1;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses the others
};

Outcome paint(const Options& options, Crowds& crowds) {
  Outcome outcome;
  const auto cpu = [&] { return options.server_pid ? process_cpu_seconds(*options.server_pid) : std::nullopt; };
  const std::optional<double> cpu_before = cpu();
  const std::uint64_t began = now_ns();
  {
    const Progress progress(options, crowds);
    const std::uint64_t until = began + static_cast<std::uint64_t>(options.seconds * 1e9);
    std::atomic<bool> settled{true};
    each(crowds, [&](std::size_t, Crowd& crowd) {
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

Result<Outcome> run(const Options& options) {
  SendTimes times(options.clients);
  Crowds crowds;
  const std::size_t threads = std::min<std::size_t>(options.threads, options.clients);
  for (std::size_t i = 0, first = 0; i < threads; ++i) {
    const std::size_t count = (options.clients - first) / (threads - i);
    crowds.push_back(std::make_unique<Crowd>(options, first, count, times));
    first += count;
  }
  if (Status joined = join(crowds); !joined) return joined.error();
  Outcome outcome = paint(options, crowds);
  if (options.verify) {
    Result<Verification> verified = verify(options, crowds);
    if (!verified) return verified.error();
    outcome.verification = *std::move(verified);
  }
  for (const auto& crowd : crowds) outcome.figures.merge(crowd->figures());
  return outcome;
}

}  // namespace
}  // namespace terrazzo::loadtest

int main(int argc, char** argv) {
  using namespace terrazzo::loadtest;
  const CommandLine line = parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  terrazzo::Result<Outcome> outcome = run(line.options);
  if (!outcome) {
    std::fprintf(stderr, "terrazzo-load: %s\n", outcome.error().message.c_str());
    return 1;
  }
  print_report(line.options, *outcome);
  if (const terrazzo::Status written = write_json(line.options, *outcome); !written)
    std::fprintf(stderr, "terrazzo-load: %s\n", written.error().message.c_str());
  return outcome->good() ? 0 : 1;
}

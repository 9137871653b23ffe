#include "tests/sim/batch.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tests/sim/simulation.h"

namespace terrazzo::sim {
namespace {

using Time = std::chrono::steady_clock;

double seconds_since(Time::time_point began) {
  return std::chrono::duration<double>(Time::now() - began).count();
}

constexpr const char* kRunEnds = "a run ends";

// What a run's process says of it in the end: numbers, then two texts.
std::string packed(const Outcome& outcome) {
  std::string text =
      fmt::format("{} {} {} {} {}", outcome.ok ? 1 : 0, outcome.hash, outcome.virtual_ns, outcome.steps, outcome.edits);
  for (const std::uint64_t count : outcome.faults) text += fmt::format(" {}", count);
  for (const std::uint64_t count : outcome.marks) text += fmt::format(" {}", count);
  return text + "\n" + outcome.claim + "\n" + outcome.what;
}

Outcome unpacked(const std::string& text) {
  Outcome outcome;
  const char* at = text.c_str();
  const auto number = [&at] {
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(at, &end, 10);
    at = end;
    return value;
  };
  outcome.ok = number() == 1;
  outcome.hash = number();
  outcome.virtual_ns = number();
  outcome.steps = number();
  outcome.edits = number();
  for (std::uint64_t& count : outcome.faults) count = number();
  for (std::uint64_t& count : outcome.marks) count = number();
  const std::string rest = std::strchr(at, '\n') + 1;
  outcome.claim = rest.substr(0, rest.find('\n'));
  outcome.what = rest.substr(rest.find('\n') + 1);
  return outcome;
}

struct Child {
  pid_t pid = 0;
  int pipe = -1;
};

std::string folder_of(pid_t process) {
  return "/dev/shm/terrazzo-sim-" + std::to_string(process);
}

void remove(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

// Each run's disk has the same name, which errors tell clients.
void enter(const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
}

// A run that spins where nobody counts its steps, or waits for ever, is ended by the kernel.
void limit_time(const Options& options) {
  const ::rlimit limit{options.cpu_seconds, options.cpu_seconds + 1};
  if (::setrlimit(RLIMIT_CPU, &limit) != 0) std::abort();
  ::alarm(options.cpu_seconds * 10);
}

void say(int pipe, const std::string& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = ::write(pipe, text.data() + at, text.size() - at);
    if (written <= 0) std::_Exit(3);
    at += static_cast<std::size_t>(written);
  }
}

Child start(Options options, bool print) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid != 0) {
    ::close(ends[1]);
    return {pid, ends[0]};
  }
  ::close(ends[0]);
  limit_time(options);
  const std::string folder = folder_of(::getpid());
  enter(folder);
  Outcome outcome;
  {
    Simulation simulation(options);
    if (print) std::printf("%s\n", simulation.description().c_str());
    std::fflush(stdout);
    // At once: whatever becomes of the run, it is known what it was.
    say(ends[1], simulation.description() + "\n");
    if (options.prepare) options.prepare();
    outcome = simulation.run();
  }
  std::fflush(stdout);
  remove(folder);
  say(ends[1], packed(outcome));
  std::_Exit(0);
}

// Of a run that did not get to its end.
void judge_end(int status, Outcome& outcome) {
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  outcome.ok = false;
  outcome.claim = signal == SIGXCPU || signal == SIGALRM ? kRunEnds : "the program does not crash";
  outcome.what = "it ended in the middle";
  if (signal != 0) outcome.what = fmt::format("signal {}: {}", signal, ::strsignal(signal));
}

Outcome finish(const Child& child) {
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(child.pipe, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  ::close(child.pipe);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  const std::size_t line = std::min(text.find('\n'), text.size());
  const bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0 && line + 1 < text.size();
  Outcome outcome;
  if (ended) {
    outcome = unpacked(text.substr(line + 1));
  } else {
    judge_end(status, outcome);
    remove(folder_of(child.pid));
  }
  outcome.drawn = text.substr(0, line);
  return outcome;
}

// Smaller runs that still fail, of the same claim, one change at a time, as long as there are any.
Options shrunk(Options options, const std::string& claim) {
  const auto fails = [&](const Options& smaller) {
    const Outcome outcome = run_apart(smaller, false);
    return !outcome.ok && outcome.claim == claim;
  };
  for (std::size_t i = 0; i < kFaults; ++i) {
    Options smaller = options;
    smaller.without.emplace_back(fault_name(static_cast<Fault>(i)));
    if (fails(smaller)) options = smaller;
  }
  for (const char* what : {"versions", "diary-versions", "branches", "moves", "pairs", "few-held", "copies", "undo",
                           "claims", "callbacks"}) {
    Options smaller = options;
    smaller.without.emplace_back(what);
    if (fails(smaller)) options = smaller;
  }
  const auto try_values = [&](std::uint32_t Options::*field, std::initializer_list<std::uint32_t> values) {
    for (const std::uint32_t value : values) {
      Options smaller = options;
      smaller.*field = value;
      if (!fails(smaller)) continue;
      options = smaller;
      return;
    }
  };
  try_values(&Options::rounds, {1, 2});
  try_values(&Options::round_seconds, {1, 2, 4, 8});
  try_values(&Options::clients, {1, 2, 4, 8, 16});
  return options;
}

struct Sum {
  std::uint64_t runs = 0, failures = 0, virtual_ns = 0, steps = 0, edits = 0;
  std::array<std::uint64_t, kFaults> faults{};
  std::array<std::uint64_t, kMarks> marks{};  // runs that hit it

  void add(const Outcome& outcome) {
    ++runs;
    virtual_ns += outcome.virtual_ns;
    steps += outcome.steps;
    edits += outcome.edits;
    for (std::size_t i = 0; i < kFaults; ++i) faults[i] += outcome.faults[i];
    for (std::size_t i = 0; i < kMarks; ++i) marks[i] += outcome.marks[i] != 0 ? 1 : 0;
  }
};

void print(const Sum& sum, double seconds) {
  const double simulated = static_cast<double>(sum.virtual_ns) * 1e-9;
  std::printf("%lu runs, %lu failed; %.2f simulated hours, %.0f simulated seconds per second, %lu edits, %lu steps\n",
              sum.runs, sum.failures, simulated / 3600, simulated / std::max(seconds, 1e-9), sum.edits, sum.steps);
  std::printf("faults:");
  for (std::size_t i = 0; i < kFaults; ++i)
    std::printf(" %s %lu", std::string(fault_name(static_cast<Fault>(i))).c_str(), sum.faults[i]);
  std::printf("\nmarks (runs):");
  for (std::size_t i = 0; i < kMarks; ++i)
    std::printf(" %s %lu", std::string(mark_name(static_cast<Mark>(i))).c_str(), sum.marks[i]);
  std::printf("\n");
}

void report(const Options& options, const Outcome& outcome, bool shrink) {
  std::printf("FAILED: %s\n  %s\n  %s\n  drawn: %s\n", options.command().c_str(), outcome.claim.c_str(),
              outcome.what.c_str(), outcome.drawn.c_str());
  std::fflush(stdout);
  // One that does not end would take its whole time with each try.
  if (!shrink || outcome.claim == kRunEnds) return;
  const Options smaller = shrunk(options, outcome.claim);
  const Outcome again = run_apart(smaller, false);
  std::printf("  shrunk: %s\n  %s\n  %s\n  drawn: %s\n", smaller.command().c_str(), again.claim.c_str(),
              again.what.c_str(), again.drawn.c_str());
}

// Before anything runs.
void announce(const Options& options, const BatchOptions& batch) {
  const std::string range = batch.minutes != 0
                                ? fmt::format("seeds from {} on for {} minutes", options.seed, batch.minutes)
                                : fmt::format("seeds {} to {}", options.seed, options.seed + batch.seeds - 1);
  std::printf("%s, %u at once, each with at most %u s of CPU; the first: %s%s\n", range.c_str(), batch.jobs,
              options.cpu_seconds, options.command().c_str(), batch.replay ? ", each twice" : "");
  std::fflush(stdout);
}

}  // namespace

Outcome run_apart(const Options& options, bool print) {
  return finish(start(options, print));
}

std::uint64_t seeds_until_failure(const Options& options, std::uint64_t most, unsigned jobs, Outcome& outcome) {
  std::map<std::uint64_t, Child> running;
  std::uint64_t next = 0, found = 0;
  while (found == 0 ? next < most || !running.empty() : !running.empty()) {
    while (found == 0 && running.size() < jobs && next < most) {
      Options each = options;
      each.seed += next++;
      running[next] = start(each, false);
    }
    const auto first = running.begin();
    const std::uint64_t number = first->first;
    Outcome each = finish(first->second);
    running.erase(first);
    if (each.ok || found != 0) continue;
    found = number;
    outcome = std::move(each);
  }
  return found;
}

int run_batch(const Options& options, const BatchOptions& batch) {
  const Time::time_point began = Time::now();
  Sum sum;
  const bool print_each = batch.seeds == 1 && batch.minutes == 0;
  std::map<std::uint64_t, Child> running;
  std::uint64_t next = options.seed;
  const auto wanted = [&] {
    if (sum.failures != 0 && !batch.keep_going) return false;
    return batch.minutes != 0 ? seconds_since(began) < batch.minutes * 60 : next < options.seed + batch.seeds;
  };
  if (!print_each) announce(options, batch);
  while (wanted() || !running.empty()) {
    while (running.size() < batch.jobs && wanted()) {
      Options each = options;
      each.seed = next++;
      running[each.seed] = start(each, print_each);
    }
    const auto first = running.begin();
    Options each = options;
    each.seed = first->first;
    const Outcome outcome = finish(first->second);
    running.erase(first);
    sum.add(outcome);
    if (print_each) std::printf("trace %016lx\n", outcome.hash);
    if (!outcome.ok) {
      ++sum.failures;
      report(each, outcome, batch.shrink);
    } else if (batch.replay && run_apart(each, false).hash != outcome.hash) {
      ++sum.failures;
      std::printf("FAILED: seed %lu is another run each time\n", each.seed);
    }
  }
  print(sum, seconds_since(began));
  for (std::size_t i = 0; batch.all_marks && i < kMarks; ++i) {
    if (sum.marks[i] != 0) continue;
    ++sum.failures;
    std::printf("FAILED: no run came by %s\n", std::string(mark_name(static_cast<Mark>(i))).c_str());
  }
  return sum.failures == 0 ? 0 : 1;
}

}  // namespace terrazzo::sim

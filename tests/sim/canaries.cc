// The simulator against bugs that are there on purpose (base/canary.h): it must find each of them within a stated
// number of seeds.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/canary.h"
#include "tests/sim/batch.h"
#include "tests/sim/command_line.h"

namespace {

using terrazzo::canary::Bug;

struct Canary {
  Bug bug;
  const char* name;
  std::uint64_t seeds_max;             // some three times what it took when this was written
  std::vector<std::string> with = {};  // faults without which nobody can see it
  std::string_view claim = {};         // whose checker must see it; empty: any
};
constexpr std::string_view kDurable = "an edit acknowledged as durable is never lost";
const Canary kCanaries[] = {
    {Bug::ack_before_sync, "ack before sync", 30},
    {Bug::told_before_logged, "coordinated edit answered before logged", 30, {"power-loss"}, kDurable},
    {Bug::dedupe_skipped, "dedupe skipped", 10},
    {Bug::wrong_interest_bit, "wrong interest bit", 15},
    {Bug::pinned_page_freed, "pinned page freed", 10},
    {Bug::wake_up_lost, "wake-up lost", 10},
    {Bug::backlog_wakes_nobody, "wake-up lost behind a full ring", 30, {"small-rings"}},
    {Bug::restored_in_part, "restored in part", 10},
    {Bug::version_between_parts, "version between the parts of an edit", 30},
    {Bug::version_not_kept, "version whose state is not kept", 10, {}, "a version that was saved is there"},
    {Bug::stale_resume, "stale resume", 10},
    {Bug::revision_not_raised, "revision not raised", 10},
    {Bug::torn_tail_believed, "torn log tail believed", 60, {"power-loss"}},
    {Bug::part_not_rolled_forward, "part not rolled forward", 30},
    {Bug::last_record_lost, "last record of the log lost", 20},
    {Bug::conflation_ignored, "conflation ignored", 250, {"slow-reader"}, "every queue is bounded"},
    {Bug::gap_not_told, "gap not told", 15},
    {Bug::first_left_out_forgotten, "first edit left out forgotten", 15},
    {Bug::decided_before_logged, "decided before logged", 20},
    {Bug::failed_sync_believed, "failed sync believed", 15},
    {Bug::edit_not_sent_again, "edit not sent again", 10},
    {Bug::checksum_not_looked_at, "checksum not looked at", 60, {"bit-rot"}},
    {Bug::foreign_value_undone, "foreign value undone", 15},
    {Bug::rolled_part_not_kept, "rolled part not kept", 60, {"power-loss"}},
};
static_assert(std::size(kCanaries) + 1 == static_cast<std::size_t>(Bug::kCount));

std::string one_line(std::string text) {
  for (char& letter : text)
    if (letter == '\n') letter = ' ';
  return text.substr(0, 120);
}

// How many seeds it takes to see the bug; 0: more than stated. A run that fails without it, too, shows nothing of it;
// where a claim is named, one in which another checker was first shows nothing of that one.
std::uint64_t seeds_until_seen(const Canary& canary, terrazzo::sim::Options options, std::uint64_t most, unsigned jobs,
                               terrazzo::sim::Outcome& outcome) {
  const std::uint64_t first = options.seed;
  options.with = canary.with;
  for (std::uint64_t taken = 0; taken < most;) {
    options.seed = first + taken;
    options.prepare = [bug = canary.bug] { terrazzo::canary::chosen = bug; };
    const std::uint64_t more = seeds_until_failure(options, most - taken, jobs, outcome);
    if (more == 0) return 0;
    taken += more;
    if (!canary.claim.empty() && outcome.claim != canary.claim) continue;
    options.seed = first + taken - 1;
    options.prepare = nullptr;
    if (run_apart(options, false).ok) return taken;
    std::printf("seed %lu fails without \"%s\", too\n", options.seed, canary.name);
  }
  return 0;
}

int find_all(const terrazzo::sim::Options& options, std::string_view only, std::uint64_t seeds, unsigned jobs) {
  int missed = 0;
  for (const Canary& canary : kCanaries) {
    if (std::string_view(canary.name).find(only) == std::string_view::npos) continue;
    const std::uint64_t most = seeds != 0 ? seeds : canary.seeds_max;
    terrazzo::sim::Outcome outcome;
    const std::uint64_t took = seeds_until_seen(canary, options, most, jobs, outcome);
    if (took == 0) ++missed;
    const std::string found =
        took == 0 ? "NOT FOUND" : fmt::format("{} seeds: {}; {}", took, outcome.claim, one_line(outcome.what));
    std::printf("%-40s of %3lu: %s\n", canary.name, most, found.c_str());
    std::fflush(stdout);
  }
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace terrazzo::sim;
  CLI::App app{"Bugs on purpose, which the simulator must find."};
  Options options;
  BatchOptions batch;
  std::string only;
  bool as_batch = false, spin = false;
  add_run_options(app, options);
  add_batch_options(app, batch);
  app.add_option("--bug", only,
                 "only those whose name holds this; --seeds: it may take so many, instead of the stated");
  app.add_flag("--batch", as_batch, "run seeds as terrazzo-sim does, with the first of those bugs in them");
  app.add_flag("--spin", spin, "in a batch, instead of a bug: runs that do not end");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::off);
  if (!as_batch) return find_all(options, only, app.count("--seeds") != 0 ? batch.seeds : 0, batch.jobs);

  const Canary* const canary = std::ranges::find_if(
      kCanaries, [&](const Canary& each) { return std::string_view(each.name).find(only) != std::string_view::npos; });
  if (canary == std::end(kCanaries)) {
    std::printf("no bug is called \"%s\"\n", only.c_str());
    return 2;
  }
  options.prepare = [bug = canary->bug] { terrazzo::canary::chosen = bug; };
  if (spin) {
    options.prepare = [] {
      for (volatile bool on = true; on;) continue;
    };
  }
  return run_batch(options, batch);
}

#include "tests/sim/command_line.h"

namespace terrazzo::sim {

void add_run_options(CLI::App& app, Options& options) {
  app.add_option("--seed", options.seed, "the first seed");
  app.add_option("--clients", options.clients, "instead of what the seed says");
  app.add_option("--rounds", options.rounds, "instead of what the seed says");
  app.add_option("--round-seconds", options.round_seconds, "virtual, instead of what the seed says");
  app.add_option("--without", options.without,
                 "faults that are left out, and versions, diary-versions, branches, moves, pairs, few-held, copies, "
                 "undo, claims, callbacks")
      ->delimiter(',');
  app.add_option("--with", options.with, "faults that have their highest rate")->delimiter(',');
  app.add_option("--cpu-seconds", options.cpu_seconds, "a run that takes more is taken to spin, and fails")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--trace", options.trace, "a file for every step, to find where two runs of one seed part");
  app.add_flag("--verbose", options.verbose, "what the server logs");
}

void add_batch_options(CLI::App& app, BatchOptions& batch) {
  app.add_option("--seeds", batch.seeds, "how many seeds, one after another");
  app.add_option("--minutes", batch.minutes, "go on with seeds for so long");
  app.add_option("--jobs", batch.jobs, "runs at once")->check(CLI::Range(1, 64));
  app.add_flag("--replay", batch.replay, "run each seed twice and compare the traces");
  app.add_flag("--keep-going", batch.keep_going, "after a failure, too");
  app.add_flag("--all-marks", batch.all_marks, "fail when no run came by one of the rare paths");
  app.add_flag("!--no-shrink", batch.shrink, "do not look for a smaller run that fails");
}

}  // namespace terrazzo::sim

#pragma once

#include <cstdint>

#include "tests/sim/options.h"
#include "tests/sim/outcome.h"

namespace terrazzo::sim {

struct BatchOptions {
  std::uint64_t seeds = 1;
  double minutes = 0;  // 0: as many seeds as said
  unsigned jobs = 1;
  bool replay = false, keep_going = false, shrink = true;
  bool all_marks = false;  // some run must have come by each
};

// One run in a process of its own, so that one that asserts or crashes is an outcome, too. Prints what was drawn.
Outcome run_apart(const Options& options, bool print);
// How many seeds it takes until a run fails, whose outcome is told; 0: more than so many.
std::uint64_t seeds_until_failure(const Options& options, std::uint64_t most, unsigned jobs, Outcome& outcome);
// Runs seeds, says what was seen; a run that fails is made smaller and printed as the command that replays it. Exit
// code.
int run_batch(const Options& options, const BatchOptions& batch);

}  // namespace terrazzo::sim

#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/sim/faults.h"
#include "tests/sim/marks.h"

namespace terrazzo::sim {

// What came of a run.
struct Outcome {
  bool ok = true;
  std::string claim, what;  // where not
  std::string drawn;        // from the seed, as Simulation::description() says it
  std::uint64_t hash = 0, virtual_ns = 0, steps = 0, edits = 0;
  std::array<std::uint64_t, kFaults> faults{};
  std::array<std::uint64_t, kMarks> marks{};
};

}  // namespace terrazzo::sim

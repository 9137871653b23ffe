#pragma once

#include <cstdint>

#include "tests/sim/faults.h"
#include "tests/sim/random.h"
#include "tests/sim/schedule.h"

namespace terrazzo::sim {

class Disk;

// What the simulated parts share: time, chance and what goes wrong. One per process; while it is there, libc.cc answers
// the program's questions for time and randomness from it, and sends its file operations by the disk.
struct Machine {
  explicit Machine(std::uint64_t seed) : random(seed) {}

  Schedule schedule;
  Random random;
  Faults faults;
  Disk* disk = nullptr;
  bool verbose = false;
  std::int64_t wall_offset_ns = 1'750'000'000 * static_cast<std::int64_t>(kSecond);  // of the wall clock to the other

  static Machine* running;  // null: the program runs as any other
};

}  // namespace terrazzo::sim

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace terrazzo::sim {

// What a run is told beside its seed; 0 and empty leave it to the seed. A run that failed is shrunk by these.
struct Options {
  std::uint64_t seed = 1;
  std::uint32_t clients = 0;
  std::uint32_t rounds = 0;          // of activity, each followed by checks
  std::uint32_t round_seconds = 0;   // virtual
  std::vector<std::string> without;  // names of faults, and of what people do: --help has them
  std::vector<std::string> with;     // names of faults that have their highest rate
  std::string trace;                 // a file for the time, number and hash of each step
  bool verbose = false;              // the server's log
  std::string folder = "disk";       // for the disk, in the one where the process runs
  // Of CPU, some hundred times what a run takes: one that takes more spins. Ten times that by the clock: it hangs.
  std::uint32_t cpu_seconds = 300;

  std::function<void()> prepare;  // in the run's process, before it begins

  std::string command() const;
};

}  // namespace terrazzo::sim

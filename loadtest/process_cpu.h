#pragma once

#include <optional>

namespace terrazzo::loadtest {

// Seconds of CPU time, user and system, that a process of this machine has used.
std::optional<double> process_cpu_seconds(int pid);

}  // namespace terrazzo::loadtest

#pragma once

#include <vector>

namespace terrazzo::runtime {

// The CPUs this process may use (its affinity mask at the call), in ascending order; at least one.
std::vector<int> allowed_cpus();
// False: the kernel refused; the thread runs where it did.
bool pin_this_thread(int cpu);

}  // namespace terrazzo::runtime

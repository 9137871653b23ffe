#pragma once

#include <vector>

namespace terrazzo::runtime {

// The CPUs this process may use (its affinity mask at the call), in ascending order; at least one.
std::vector<int> allowed_cpus();
// False: the kernel refused; the thread runs where it did.
bool pin_this_thread(int cpu);

// Asks for turns of 0.1 ms of the CPU for this thread and those it starts, instead of the scheduler's 3 ms or so. A
// thread that was asleep and has a shorter turn than the one that is running goes first (Linux 6.12, sched_setattr(2));
// otherwise it waits for the end of the other's turn. That is no more CPU time, only sooner, and needs no privilege.
// False: the kernel refused; one before 6.12 takes the wish and does nothing about it.
bool ask_for_short_turns();

}  // namespace terrazzo::runtime

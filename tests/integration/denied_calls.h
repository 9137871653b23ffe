#pragma once

#include <span>

namespace terrazzo::integration {

// From here on these system calls of this process (and of what it becomes) fail with `error`, as under a container's
// seccomp profile; there is no way back, so it is for a child between fork and exec. False: the kernel has no such
// filters.
bool deny_calls(std::span<const long> calls, int error);

// A mount namespace of its own in which kernel.io_uring_disabled reads as `path` does; for such a child as well. False:
// this machine does not let us.
bool pretend_sysctl(const char* path);

}  // namespace terrazzo::integration

#include "server/io/memory_size.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace terrazzo::io {
namespace {

// The limits of the control groups from this process's own up to the root; "max": none.
std::uint64_t group_limit(std::uint64_t none) {
  std::uint64_t limit = none;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    for (std::string group = line.substr(3);; group.resize(group.find_last_of('/'))) {
      std::uint64_t bytes = 0;
      if (std::ifstream file("/sys/fs/cgroup" + group + "/memory.max"); file >> bytes) limit = std::min(limit, bytes);
      if (group.find('/') == std::string::npos) break;
    }
  }
  return limit;
}

}  // namespace

std::uint64_t usable_memory_bytes() {
  const auto machine =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return group_limit(machine);
}

}  // namespace terrazzo::io

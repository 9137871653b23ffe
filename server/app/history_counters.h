#pragma once

#include <atomic>
#include <cstdint>

namespace terrazzo::app {

// Of sealing, since the start; written by workers.
struct HistoryCounters {
  std::atomic<std::uint64_t> sealed{0}, dropped{0}, failures{0};
  std::atomic<std::uint64_t> bytes{0}, files{0};  // kept at the moment
};

}  // namespace terrazzo::app

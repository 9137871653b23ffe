#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "server/runtime/clock.h"

namespace terrazzo::app {

// The time that edits are stamped with, in microseconds since 1970: the wall clock's, but it never goes back, on no
// core and over no restart, whoever sets the clock. What a user did last is found by these stamps. After the clock was
// ahead for a while and was set right, stamps stay ahead by as much until the server is started again later than them.
// Any thread; a core reads one word that others write only when the clock is set forward.
class StampClock {
 public:
  using Clock = std::uint64_t (*)();  // nanoseconds
  explicit StampClock(Clock wall = &runtime::wall_ns, Clock steady = &runtime::monotonic_ns)
      : wall_(wall), steady_(steady) {}

  // Every stamp from now on is later than this one, of an earlier run.
  void begin_after(std::uint64_t stamp_us) { raise(static_cast<std::int64_t>(stamp_us + 1 - steady_() / kNsPerUs)); }
  std::uint64_t now_us() {
    // In this order: who is kept from running between the two reads sees the wall clock late, not ahead.
    const std::uint64_t wall = wall_() / kNsPerUs, steady = steady_() / kNsPerUs;
    raise(static_cast<std::int64_t>(wall - steady));
    return steady + static_cast<std::uint64_t>(ahead_us_.load(std::memory_order_relaxed));
  }

 private:
  static constexpr std::uint64_t kNsPerUs = 1000;
  void raise(std::int64_t ahead_us) {
    std::int64_t before = ahead_us_.load(std::memory_order_relaxed);
    while (before < ahead_us && !ahead_us_.compare_exchange_weak(before, ahead_us, std::memory_order_relaxed)) {
    }
  }

  const Clock wall_, steady_;
  // Of the steady clock; negative where that one is the larger number. At first less than any.
  std::atomic<std::int64_t> ahead_us_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace terrazzo::app

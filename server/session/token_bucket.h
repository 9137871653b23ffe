#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace terrazzo::session {

// How much of something may be done: so much in a second on average, and `burst` of it at once. 0 per second: as much
// as anybody likes.
struct Rate {
  std::uint64_t per_second = 0;
  std::uint64_t burst = 1;  // at most 2^32
};

// A token bucket in one number, the time at which it would be full again if nothing more was taken (the virtual
// scheduling form of the generic cell rate algorithm, ITU-T I.371). So it can be shared: any thread, without locks.
// Time is an argument, of one clock.
class TokenBucket {
 public:
  // False, and nothing taken: there is not enough. What is more than a whole bucket needs a full one.
  bool take(const Rate& rate, std::uint64_t cost, std::uint64_t now_ns) {
    constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
    if (rate.per_second == 0) return true;
    const std::uint64_t cost_ns = std::min(cost, rate.burst) * kNsPerSecond / rate.per_second;
    const std::uint64_t latest_ns = now_ns + rate.burst * kNsPerSecond / rate.per_second;
    std::uint64_t full_ns = full_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t after_ns = std::max(full_ns, now_ns) + cost_ns;
      if (after_ns > latest_ns) return false;
      // Nothing else is read on the word of this number, so no order is needed.
      if (full_ns_.compare_exchange_weak(full_ns, after_ns, std::memory_order_relaxed)) return true;
    }
  }

 private:
  std::atomic<std::uint64_t> full_ns_{0};
};

// What one user has left, over all of his connections on all cores.
struct UserBudget {
  TokenBucket edits, cells;
};

}  // namespace terrazzo::session

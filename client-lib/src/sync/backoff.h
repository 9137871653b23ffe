#pragma once

#include <algorithm>
#include <cstdint>

#include "terrazzo/options.h"

namespace terrazzo::client {

// Delays between attempts to connect: exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter",
// 2015).
class Backoff {
 public:
  Backoff(const ReconnectPolicy& policy, std::uint64_t seed) : policy_(policy), random_(seed) {}

  // After a failed attempt. Between delay_min_ms and the current ceiling, which then doubles up to delay_max_ms.
  std::uint32_t next_ms() {
    const std::uint32_t low = policy_.delay_min_ms, high = std::max(policy_.delay_max_ms, low);
    const std::uint64_t ceiling =
        std::min<std::uint64_t>(high, std::uint64_t{std::max(low, 1u)} << std::min(failures_ + 1, 31u));
    ++failures_;
    return low + static_cast<std::uint32_t>(draw() % (std::max<std::uint64_t>(ceiling, low) - low + 1));
  }
  void succeeded() { failures_ = 0; }

 private:
  // splitmix64 (Vigna): enough for spreading clients out.
  std::uint64_t draw() {
    std::uint64_t z = (random_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  ReconnectPolicy policy_;
  std::uint64_t random_;
  std::uint32_t failures_ = 0;
};

}  // namespace terrazzo::client

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

  // After a lost connection or a failed attempt. Between delay_min_ms and the current ceiling, which then doubles up to
  // delay_max_ms. The first ceiling is eight times delay_min_ms: everybody may have been cut off at once.
  // `at_least_ms`: what the server asked for. It asks all its clients for the same, so they come spread over as long a
  // time again from there on, and not all at that moment.
  std::uint32_t next_ms(std::uint32_t at_least_ms = 0) {
    const std::uint64_t low = policy_.delay_min_ms, high = std::max<std::uint64_t>(policy_.delay_max_ms, low);
    const std::uint64_t ceiling = std::min(high, std::max<std::uint64_t>(low, 1) << std::min(failures_ + 3, 31u));
    ++failures_;
    const std::uint64_t from = std::max<std::uint64_t>(low, at_least_ms);
    const std::uint64_t width = std::max<std::uint64_t>(std::max(ceiling, low) - low, at_least_ms);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(from + draw() % (width + 1), UINT32_MAX));
  }
  // The server has let us in (a connection alone proves nothing: it may be refused right after).
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

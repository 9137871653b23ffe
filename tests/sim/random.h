#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"

namespace terrazzo::sim {

// splitmix64 (Vigna). Everything a run decides comes from one of these; split() gives an independent stream, so that
// one part's draws do not depend on how often another part draws.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  // Below `n`, which is not 0.
  std::uint64_t below(std::uint64_t n) {
    TZ_ASSERT(n != 0);
    return next() % n;
  }
  // Both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    TZ_ASSERT(low <= high);
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return probability > 0 && unit() < probability; }
  // Magnitudes are equally likely.
  std::uint64_t log_between(std::uint64_t low, std::uint64_t high) {
    TZ_ASSERT(low != 0 && low <= high);
    const double a = std::log(static_cast<double>(low)), b = std::log(static_cast<double>(high) + 1);
    const auto value = static_cast<std::uint64_t>(std::exp(a + (b - a) * unit()));
    return value < low ? low : value > high ? high : value;
  }
  // Until the next of events that come `rate` times in the unit of time the result is in.
  double exponential(double rate) { return -std::log(1 - unit()) / rate; }
  Random split() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace terrazzo::sim

#pragma once

#include <ctime>

#include <cstdint>

// The two clocks, read here and nowhere else: pure modules get the time as an argument.
namespace terrazzo::runtime {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
inline constexpr std::uint64_t kNsPerMs = 1'000'000;

inline std::uint64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);  // cannot fail for these clocks; some 20 ns through the vDSO
  return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(time.tv_nsec);
}

// Never goes back; meaningless outside this boot of the machine. For intervals and deadlines.
inline std::uint64_t monotonic_ns() {
  return read_clock_ns(CLOCK_MONOTONIC);
}
// Since 1970-01-01 UTC; may jump. For what people read and what is stored.
inline std::uint64_t wall_ns() {
  return read_clock_ns(CLOCK_REALTIME);
}

}  // namespace terrazzo::runtime

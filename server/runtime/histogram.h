#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace terrazzo::runtime {

// How often values of each size were seen: bucket i counts those of at most 2^(first + i), the last all larger ones.
// Written by one core and copied by the same core, so a copy is consistent and nothing is atomic: recording is two
// additions. (The exposition library's own histogram adds to doubles by compare-and-swap, and takes a lock from its
// version 1.1 on.)
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 24;

  // `first`: of the smallest bound, as a power of two.
  explicit constexpr Histogram(int first) : first_(first) {}

  void record(std::uint64_t value) {
    const int power = value <= 1 ? 0 : static_cast<int>(std::bit_width(value - 1));  // value <= 2^power
    const std::size_t bucket = power <= first_ ? 0 : static_cast<std::size_t>(power - first_);
    ++counts_[bucket < kBuckets ? bucket : kBuckets];
    sum_ += value;
  }

  std::uint64_t bound(std::size_t bucket) const { return std::uint64_t{1} << (first_ + static_cast<int>(bucket)); }
  // Of values in this bucket alone; kBuckets: larger than every bound.
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket]; }
  std::uint64_t sum() const { return sum_; }
  std::uint64_t total() const {
    std::uint64_t all = 0;
    for (const std::uint64_t count : counts_) all += count;
    return all;
  }

 private:
  int first_;
  std::array<std::uint64_t, kBuckets + 1> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace terrazzo::runtime

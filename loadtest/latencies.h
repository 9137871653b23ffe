#pragma once

#include <cstdint>
#include <vector>

namespace terrazzo::loadtest {

// Times in microseconds, all of them kept: percentiles are exact, four bytes a sample. One thread.
class Latencies {
 public:
  void add(std::uint32_t microseconds) { samples_.push_back(microseconds); }
  void merge(const Latencies& other) { samples_.insert(samples_.end(), other.samples_.begin(), other.samples_.end()); }
  std::size_t count() const { return samples_.size(); }
  // share: 0 to 1. 0 without samples.
  std::uint32_t percentile(double share);

 private:
  std::vector<std::uint32_t> samples_;
};

}  // namespace terrazzo::loadtest

#include "loadtest/latencies.h"

#include <algorithm>
#include <cmath>

namespace terrazzo::loadtest {

std::uint32_t Latencies::percentile(double share) {
  if (samples_.empty()) return 0;
  // Nearest rank: the smallest sample that at least this share of all do not exceed.
  const double rank = std::ceil(share * static_cast<double>(samples_.size()));
  const auto index = static_cast<std::ptrdiff_t>(std::clamp(rank, 1.0, static_cast<double>(samples_.size()))) - 1;
  std::nth_element(samples_.begin(), samples_.begin() + index, samples_.end());
  return samples_[static_cast<std::size_t>(index)];
}

}  // namespace terrazzo::loadtest

#include "tests/fuzz/targets.h"

#include <array>

namespace terrazzo::fuzz {

std::span<const Target* const> all_targets() {
  static constexpr std::array<const Target*, 6> kAll{&kTiled,   &kWorldJson, &kSegment,
                                                     &kHistory, &kShardFile, &kWebSocket};
  return kAll;
}

}  // namespace terrazzo::fuzz

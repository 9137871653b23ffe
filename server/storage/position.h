#pragma once

#include <cstdint>

namespace terrazzo::storage {

// Where in a tree a page hangs. Trees that share a page share it at one place, so whether another tree still reaches a
// page is one walk down a path.
struct Position {
  std::uint8_t level =
      0;  // entries to follow from the top: 0 layer directory, 1 region node, 2 leaf node, 3 cells or blob
  std::uint8_t layer = 0;
  std::uint8_t region = 0;
  std::uint8_t index = 0;

  constexpr Position below(std::uint8_t step) const {
    Position child = *this;
    (level == 0 ? child.layer : level == 1 ? child.region : child.index) = step;
    ++child.level;
    return child;
  }
  // The last leaf at or below here, as a number in the order of layers and regions.
  constexpr std::uint32_t last_leaf() const {
    if (level == 0) return 0xFFFF;
    return std::uint32_t{layer} << 8 | (level == 1 ? 0xFFu : region);
  }
};

}  // namespace terrazzo::storage

#pragma once

#include <algorithm>
#include <cstdint>

#include "terrazzo/render.h"

namespace terrazzo::render {

// How `from` pixels in a direction become `to`: each new one is the mean of those it covers, or one of them repeated.
struct Scaling {
  std::uint64_t from = 1, to = 1;
  std::uint64_t first(std::uint64_t pixel) const { return pixel * from / to; }
  std::uint64_t end(std::uint64_t pixel) const { return std::max(first(pixel) + 1, (pixel + 1) * from / to); }
};

// Pixels of a scaled picture: columns [x, x_end), rows [y, y_end).
struct Block {
  std::uint32_t x = 0, x_end = 0, y = 0, y_end = 0;
};
// A block of `to` from the part of a picture that it covers: from across.first(block.x) and down.first(block.y) on.
// Premultiplied.
void scale_block(const Image& part, Scaling across, Scaling down, const Block& block, Image& to);
// Premultiplied → straight, in place.
void straighten(Image& image);

}  // namespace terrazzo::render

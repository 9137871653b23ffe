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

// Rows [row, row_end) of `to` from a band of a picture: its rows from `band_y` on, all that they need. Premultiplied.
void scale_rows(const Image& band, std::uint64_t band_y, Scaling across, Scaling down, std::uint32_t row,
                std::uint32_t row_end, Image& to);
// Premultiplied → straight, in place.
void straighten(Image& image);

}  // namespace terrazzo::render

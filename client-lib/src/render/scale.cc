#include "client-lib/src/render/scale.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace terrazzo::render {

void scale_block(const Image& part, Scaling across, Scaling down, const Block& block, Image& to) {
  const std::uint64_t left = across.first(block.x), top = down.first(block.y);
  for (std::uint32_t y = block.y; y < block.y_end; ++y) {
    const std::uint64_t y0 = down.first(y) - top, y1 = down.end(y) - top;
    std::uint8_t* out = to.rgba.data() + (std::size_t{y} * to.width + block.x) * 4;
    if (across.from == across.to && down.from == down.to) {
      std::memcpy(out, part.rgba.data() + y0 * part.width * 4, std::size_t{block.x_end - block.x} * 4);
      continue;
    }
    for (std::uint32_t x = block.x; x < block.x_end; ++x, out += 4) {
      const std::uint64_t x0 = across.first(x) - left, x1 = across.end(x) - left;
      std::uint64_t sum[4] = {0, 0, 0, 0};
      for (std::uint64_t v = y0; v < y1; ++v) {
        const std::uint8_t* from = part.rgba.data() + (v * part.width + x0) * 4;
        for (std::uint64_t u = x0; u < x1; ++u, from += 4)
          for (std::size_t c = 0; c < 4; ++c) sum[c] += from[c];
      }
      const std::uint64_t count = (y1 - y0) * (x1 - x0);
      for (std::size_t c = 0; c < 4; ++c) out[c] = static_cast<std::uint8_t>((sum[c] + count / 2) / count);
    }
  }
}

void straighten(Image& image) {
  for (std::size_t i = 0; i + 3 < image.rgba.size(); i += 4) {
    const std::uint32_t alpha = image.rgba[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (std::size_t c = 0; c < 3; ++c)
      image.rgba[i + c] =
          static_cast<std::uint8_t>(std::min<std::uint32_t>(255, (image.rgba[i + c] * 255u + alpha / 2) / alpha));
  }
}

}  // namespace terrazzo::render

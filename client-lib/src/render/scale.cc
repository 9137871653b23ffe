#include "client-lib/src/render/scale.h"

#include <algorithm>
#include <cstddef>

namespace terrazzo::render {

void scale_rows(const Image& band, std::uint64_t band_y, Scaling across, Scaling down, std::uint32_t row,
                std::uint32_t row_end, Image& to) {
  for (std::uint32_t y = row; y < row_end; ++y) {
    const std::uint64_t y0 = down.first(y) - band_y, y1 = down.end(y) - band_y;
    std::uint8_t* out = to.rgba.data() + std::size_t{y} * to.width * 4;
    for (std::uint32_t x = 0; x < to.width; ++x, out += 4) {
      const std::uint64_t x0 = across.first(x), x1 = across.end(x);
      std::uint64_t sum[4] = {0, 0, 0, 0};
      for (std::uint64_t v = y0; v < y1; ++v) {
        const std::uint8_t* from = band.rgba.data() + (v * band.width + x0) * 4;
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

#include "client-lib/src/render/scale.h"

#include <algorithm>

namespace terrazzo::render {

Image scaled_to(const Image& from, std::uint32_t width, std::uint32_t height) {
  Image to{width, height, std::vector<std::uint8_t>(std::size_t{width} * height * 4)};
  for (std::uint32_t y = 0; y < height; ++y) {
    const std::uint64_t y0 = std::uint64_t{y} * from.height / height,
                        y1 = std::max(y0 + 1, std::uint64_t{y + 1} * from.height / height);
    for (std::uint32_t x = 0; x < width; ++x) {
      const std::uint64_t x0 = std::uint64_t{x} * from.width / width,
                          x1 = std::max(x0 + 1, std::uint64_t{x + 1} * from.width / width);
      std::uint64_t sum[4] = {0, 0, 0, 0};
      for (std::uint64_t v = y0; v < y1; ++v)
        for (std::uint64_t u = x0; u < x1; ++u)
          for (std::size_t c = 0; c < 4; ++c) sum[c] += from.rgba[(v * from.width + u) * 4 + c];
      const std::uint64_t count = (y1 - y0) * (x1 - x0);
      for (std::size_t c = 0; c < 4; ++c)
        to.rgba[(std::size_t{y} * width + x) * 4 + c] = static_cast<std::uint8_t>((sum[c] + count / 2) / count);
    }
  }
  return to;
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

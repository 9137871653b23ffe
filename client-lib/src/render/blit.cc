#include "client-lib/src/render/blit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "map/cell.h"

namespace terrazzo::render {
namespace {

// Round to nearest of a * b / 255, exact for bytes.
constexpr std::uint32_t scaled(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t t = a * b + 128;
  return (t + (t >> 8)) >> 8;
}

struct Multiply {
  std::uint32_t red, green, blue, alpha;  // 0 to 255
  bool none() const { return red == 255 && green == 255 && blue == 255 && alpha == 255; }
};

void blend(const std::uint8_t* from, std::uint8_t* to, const Multiply& m) {
  const std::uint32_t alpha = scaled(from[3], m.alpha);
  if (alpha == 0) return;
  const std::uint32_t color[3] = {scaled(scaled(from[0], m.red), alpha), scaled(scaled(from[1], m.green), alpha),
                                  scaled(scaled(from[2], m.blue), alpha)};
  const std::uint32_t rest = 255 - alpha;
  for (int c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>(color[c] + scaled(to[c], rest));
  to[3] = static_cast<std::uint8_t>(alpha + scaled(to[3], rest));
}

}  // namespace

void blit(const DrawCommand& c, Image& canvas) {
  const std::int64_t x0 = std::max<std::int64_t>(c.x, 0), y0 = std::max<std::int64_t>(c.y, 0);
  const std::int64_t x1 = std::min<std::int64_t>(c.x + c.width, canvas.width),
                     y1 = std::min<std::int64_t>(c.y + c.height, canvas.height);
  if (x0 >= x1 || y0 >= y1) return;
  const Multiply m{
      c.tint >> 16 & 0xFF, c.tint >> 8 & 0xFF, c.tint & 0xFF,
      scaled(c.tint >> 24, static_cast<std::uint32_t>(std::lround(std::clamp(c.opacity, 0.0f, 1.0f) * 255)))};
  const bool turned = (c.flips & map::Cell::kFlipDiagonal) != 0;
  const bool mirrored = (c.flips & map::Cell::kFlipHorizontal) != 0,
             upside_down = (c.flips & map::Cell::kFlipVertical) != 0;
  const std::uint64_t across = turned ? c.sprite.height : c.sprite.width,
                      down = turned ? c.sprite.width : c.sprite.height;
  const bool plain = c.flips == 0 && across == c.width && down == c.height && m.none();
  const Image& image = *c.sprite.image;
  const auto pixel = [&](std::uint64_t x, std::uint64_t y) {
    return image.rgba.data() + ((c.sprite.y + y) * image.width + c.sprite.x + x) * 4;
  };
  for (std::int64_t y = y0; y < y1; ++y) {
    std::uint8_t* to =
        canvas.rgba.data() + (static_cast<std::size_t>(y) * canvas.width + static_cast<std::size_t>(x0)) * 4;
    std::uint64_t v = static_cast<std::uint64_t>(y - c.y) * down / c.height;
    if (upside_down) v = down - 1 - v;
    if (plain) {
      const std::uint8_t* from = pixel(static_cast<std::uint64_t>(x0 - c.x), v);
      for (std::int64_t x = x0; x < x1; ++x, from += 4, to += 4) {
        if (from[3] == 255) {
          std::memcpy(to, from, 4);
        } else {
          blend(from, to, m);
        }
      }
      continue;
    }
    for (std::int64_t x = x0; x < x1; ++x, to += 4) {
      std::uint64_t u = static_cast<std::uint64_t>(x - c.x) * across / c.width;
      if (mirrored) u = across - 1 - u;
      blend(turned ? pixel(v, u) : pixel(u, v), to, m);
    }
  }
}

}  // namespace terrazzo::render

#include "client-lib/src/render/blit.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

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
  explicit Multiply(const DrawCommand& c)
      : red(c.tint >> 16 & 0xFF),
        green(c.tint >> 8 & 0xFF),
        blue(c.tint & 0xFF),
        alpha(scaled(c.tint >> 24, static_cast<std::uint32_t>(std::lround(std::clamp(c.opacity, 0.0f, 1.0f) * 255)))) {}
  bool none() const { return red == 255 && green == 255 && blue == 255 && alpha == 255; }
};

// Source over destination of a premultiplied colour.
void over(const std::uint32_t color[4], std::uint8_t* to) {
  const std::uint32_t rest = 255 - color[3];
  for (int c = 0; c < 4; ++c) to[c] = static_cast<std::uint8_t>(color[c] + scaled(to[c], rest));
}

void blend(const std::uint8_t* from, std::uint8_t* to, const Multiply& m) {
  const std::uint32_t alpha = scaled(from[3], m.alpha);
  if (alpha == 0) return;
  const std::uint32_t color[4] = {scaled(scaled(from[0], m.red), alpha), scaled(scaled(from[1], m.green), alpha),
                                  scaled(scaled(from[2], m.blue), alpha), alpha};
  over(color, to);
}

// The sprite's pixels after its flips: `across` × `down` of them.
class Texels {
 public:
  explicit Texels(const DrawCommand& c)
      : image_(*c.sprite.image),
        sprite_(c.sprite),
        turned_((c.flips & map::Cell::kFlipDiagonal) != 0),
        mirrored_((c.flips & map::Cell::kFlipHorizontal) != 0),
        upside_down_((c.flips & map::Cell::kFlipVertical) != 0),
        across(turned_ ? sprite_.height : sprite_.width),
        down(turned_ ? sprite_.width : sprite_.height) {}

  const std::uint8_t* at(std::uint32_t u, std::uint32_t v) const {
    if (mirrored_) u = across - 1 - u;
    if (upside_down_) v = down - 1 - v;
    if (turned_) std::swap(u, v);
    return image_.rgba.data() + ((std::size_t{sprite_.y} + v) * image_.width + sprite_.x + u) * 4;
  }
  // Between the centres of the four nearest texels (bilinear), which is how Tiled draws what is stretched or rotated.
  // A premultiplied colour; u in [0, across), v in [0, down).
  void smooth(double u, double v, std::uint32_t color[4]) const {
    const Near x(u, across), y(v, down);
    std::uint32_t sum[4] = {0, 0, 0, 0};
    for (int i = 0; i < 4; ++i) {
      const std::uint8_t* p = at(x.texel[i & 1], y.texel[i >> 1]);
      const std::uint32_t weight = x.weight[i & 1] * y.weight[i >> 1];
      for (int c = 0; c < 3; ++c) sum[c] += scaled(p[c], p[3]) * weight;
      sum[3] += p[3] * weight;
    }
    for (int c = 0; c < 4; ++c) color[c] = (sum[c] + 0x8000) >> 16;
  }

 private:
  // The two texels around a position on one axis; their weights add up to 256.
  struct Near {
    std::uint32_t texel[2], weight[2];
    Near(double position, std::uint32_t count) {
      const double below = std::floor(position - 0.5);
      weight[1] = static_cast<std::uint32_t>((position - 0.5 - below) * 256);
      weight[0] = 256 - weight[1];
      const double most = count - 1.0;
      texel[0] = static_cast<std::uint32_t>(std::clamp(below, 0.0, most));
      texel[1] = static_cast<std::uint32_t>(std::clamp(below + 1, 0.0, most));
    }
  };
  const Image& image_;
  const Sprite& sprite_;
  const bool turned_, mirrored_, upside_down_;

 public:
  const std::uint32_t across, down;
};

// One axis of a picture that is neither stretched nor rotated: the canvas pixels [begin, end) it covers, and the texel
// under each.
struct Span {
  std::int64_t start, begin, end, texels;

  Span(double center, std::uint32_t count, bool over_all, std::int64_t corner, std::uint32_t canvas)
      : start(static_cast<std::int64_t>(std::floor(center - count / 2.0 + 0.5)) - corner),
        begin(over_all ? 0 : std::max<std::int64_t>(start, 0)),
        end(over_all ? canvas : std::min<std::int64_t>(start + count, canvas)),
        texels(count) {}
  std::uint32_t texel(std::int64_t pixel) const {
    const std::int64_t t = (pixel - start) % texels;
    return static_cast<std::uint32_t>(t < 0 ? t + texels : t);
  }
};

std::uint8_t* pixel(Image& canvas, std::int64_t x, std::int64_t y) {
  return canvas.rgba.data() + (static_cast<std::size_t>(y) * canvas.width + static_cast<std::size_t>(x)) * 4;
}

void blit_as_it_is(const DrawCommand& c, const Texels& texels, Image& canvas, std::int64_t corner_x,
                   std::int64_t corner_y) {
  const Span xs(c.center_x, texels.across, c.repeat_x, corner_x, canvas.width);
  const Span ys(c.center_y, texels.down, c.repeat_y, corner_y, canvas.height);
  if (xs.begin >= xs.end || ys.begin >= ys.end) return;
  const Multiply m(c);
  const bool plain = c.flips == 0 && !c.repeat_x && m.none();
  for (std::int64_t y = ys.begin; y < ys.end; ++y) {
    const std::uint32_t v = ys.texel(y);
    std::uint8_t* to = pixel(canvas, xs.begin, y);
    if (plain) {
      const std::uint8_t* from = texels.at(xs.texel(xs.begin), v);
      for (std::int64_t x = xs.begin; x < xs.end; ++x, from += 4, to += 4) {
        if (from[3] == 255) {
          std::memcpy(to, from, 4);
        } else {
          blend(from, to, m);
        }
      }
    } else {
      for (std::int64_t x = xs.begin; x < xs.end; ++x, to += 4) blend(texels.at(xs.texel(x), v), to, m);
    }
  }
}

// Every canvas pixel whose centre lies on the picture takes the colour there.
void blit_transformed(const DrawCommand& c, const Texels& texels, Image& canvas, std::int64_t corner_x,
                      std::int64_t corner_y) {
  const double radians = c.angle * std::numbers::pi / 180, cosine = std::cos(radians), sine = std::sin(radians);
  const double half_x = (std::abs(cosine) * c.width + std::abs(sine) * c.height) / 2,
               half_y = (std::abs(sine) * c.width + std::abs(cosine) * c.height) / 2;
  const auto first = [](double v, std::int64_t corner) {
    return std::max(corner, static_cast<std::int64_t>(std::floor(v)));
  };
  const auto last = [](double v, std::int64_t corner, std::uint32_t size) {
    return std::min(corner + size, static_cast<std::int64_t>(std::ceil(v)));
  };
  const Multiply m(c);
  const std::uint32_t factor[4] = {scaled(m.red, m.alpha), scaled(m.green, m.alpha), scaled(m.blue, m.alpha), m.alpha};
  const std::int64_t x0 = first(c.center_x - half_x, corner_x), x1 = last(c.center_x + half_x, corner_x, canvas.width);
  const std::int64_t y0 = first(c.center_y - half_y, corner_y), y1 = last(c.center_y + half_y, corner_y, canvas.height);
  for (std::int64_t y = y0; y < y1; ++y)
    for (std::int64_t x = x0; x < x1; ++x) {
      const double dx = static_cast<double>(x) + 0.5 - c.center_x, dy = static_cast<double>(y) + 0.5 - c.center_y;
      const double u = (dx * cosine + dy * sine) / c.width + 0.5, v = (dy * cosine - dx * sine) / c.height + 0.5;
      if (u < 0 || u >= 1 || v < 0 || v >= 1) continue;
      std::uint32_t color[4];
      texels.smooth(u * texels.across, v * texels.down, color);
      for (int i = 0; i < 4; ++i) color[i] = scaled(color[i], factor[i]);
      over(color, pixel(canvas, x - corner_x, y - corner_y));
    }
}

}  // namespace

void blit(const DrawCommand& c, Image& canvas, std::int64_t canvas_x, std::int64_t canvas_y) {
  if (c.sprite.width == 0 || c.sprite.height == 0 || !(c.width > 0) || !(c.height > 0)) return;
  const Texels texels(c);
  if (c.angle == 0 && c.width == texels.across && c.height == texels.down)
    return blit_as_it_is(c, texels, canvas, canvas_x, canvas_y);
  blit_transformed(c, texels, canvas, canvas_x, canvas_y);
}

}  // namespace terrazzo::render

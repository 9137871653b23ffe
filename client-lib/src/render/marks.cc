#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "client-lib/src/render/grid.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

using Color = std::array<std::uint8_t, 3>;

constexpr Color color_of(Mark mark) {
  return mark == Mark::added ? Color{0, 190, 70} : mark == Mark::removed ? Color{220, 20, 30} : Color{255, 160, 0};
}

// The rest of the picture is there to find one's way: grey, and pale.
void pale(Image& image) {
  for (std::size_t at = 0; at < image.rgba.size(); at += 4) {
    const unsigned light = (image.rgba[at] * 54u + image.rgba[at + 1] * 183u + image.rgba[at + 2] * 19u) >> 8;
    std::fill_n(image.rgba.begin() + static_cast<std::ptrdiff_t>(at), 3, static_cast<std::uint8_t>(110 + light * 100 / 255));
  }
}

// Half of the tile's own picture shows through, but for a border.
void lay_over(const std::uint8_t* was, std::uint8_t* pixel, Color color, bool border) {
  const unsigned alpha = was[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const unsigned under = border ? color[i] : (was[i] * alpha + color[i] * (255 - alpha)) / 255;
    pixel[i] = static_cast<std::uint8_t>((under + color[i]) / 2);
  }
  pixel[3] = static_cast<std::uint8_t>(std::max(alpha, border ? 255u : 160u));
}

struct Box {
  std::int64_t x0, y0, x1, y1;
};

// Whether a pixel of the box is one of the cell: cells of isometric and staggered maps are diamonds.
bool inside(const Box& box, std::int64_t x, std::int64_t y, bool diamond) {
  if (!diamond) return true;
  const double half_x = static_cast<double>(box.x1 - box.x0) / 2, half_y = static_cast<double>(box.y1 - box.y0) / 2;
  return std::abs(static_cast<double>(x - box.x0) + 0.5 - half_x) / half_x +
             std::abs(static_cast<double>(y - box.y0) + 0.5 - half_y) / half_y <=
         1;
}

void mark_cell(const Image& was, Image& image, const Box& box, Color color, bool diamond) {
  constexpr std::int64_t kWithBorder = 6;
  const bool bordered = !diamond && std::min(box.x1 - box.x0, box.y1 - box.y0) >= kWithBorder;
  for (std::int64_t y = std::max<std::int64_t>(box.y0, 0); y < std::min<std::int64_t>(box.y1, image.height); ++y)
    for (std::int64_t x = std::max<std::int64_t>(box.x0, 0); x < std::min<std::int64_t>(box.x1, image.width); ++x) {
      if (!inside(box, x, y, diamond)) continue;
      const bool border =
          bordered && (x == box.x0 || y == box.y0 || x == box.x1 - 1 || y == box.y1 - 1);
      const std::size_t at = (static_cast<std::size_t>(y) * image.width + static_cast<std::size_t>(x)) * 4;
      lay_over(was.rgba.data() + at, image.rgba.data() + at, color, border);
    }
}

}  // namespace

void mark_cells(Image& image, const map::World& world, const View& view, const MarkReader& marks) {
  const Image was = image;
  pale(image);
  const Grid grid(world);
  const Grid::Box shown = grid.box(view.cells);
  const double across = static_cast<double>(image.width) / static_cast<double>(shown.width);
  const double down = static_cast<double>(image.height) / static_cast<double>(shown.height);
  const bool diamond =
      world.orientation == map::Orientation::isometric || world.orientation == map::Orientation::staggered;
  const auto scaled = [](std::int64_t at, double by) {
    return static_cast<std::int64_t>(std::floor(static_cast<double>(at) * by));
  };
  for (std::int64_t y = view.cells.y0; y < view.cells.y1; ++y)
    for (std::int64_t x = view.cells.x0; x < view.cells.x1; ++x) {
      const Mark mark = marks(x, y);
      if (mark == Mark::none) continue;
      const Grid::Point corner = grid.corner(x, y);
      const std::int64_t left = corner.x - shown.x, top = corner.y - shown.y;
      Box box{scaled(left, across), scaled(top, down), scaled(left + world.tile_width, across),
              scaled(top + world.tile_height, down)};
      // However small the picture: what has changed can be seen.
      box.x1 = std::max(box.x1, box.x0 + 1);
      box.y1 = std::max(box.y1, box.y0 + 1);
      mark_cell(was, image, box, color_of(mark), diamond);
    }
}

}  // namespace terrazzo::render

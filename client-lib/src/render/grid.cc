#include "client-lib/src/render/grid.h"

#include <algorithm>
#include <string>

#include "map/formats/json_reader.h"

namespace terrazzo::render {
namespace {

std::int64_t floored(std::int64_t a, std::int64_t b) {
  const std::int64_t divisor = std::max<std::int64_t>(b, 1), quotient = a / divisor;
  return quotient - (a % divisor < 0 ? 1 : 0);
}

}  // namespace

Grid::Grid(const map::World& world)
    : orientation_(world.orientation), tile_width_(world.tile_width), tile_height_(world.tile_height) {
  const formats::Json extra = formats::extra_object(world.extra);
  const auto text = [&](const char* key) {
    const auto found = extra.find(key);
    return found != extra.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  stagger_x_ = text("staggeraxis") == "x";
  stagger_odd_ = text("staggerindex") != "even";
  if (orientation_ == map::Orientation::hexagonal) {
    const auto found = extra.find("hexsidelength");
    if (found != extra.end() && found->is_number())
      (stagger_x_ ? side_x_ : side_y_) = static_cast<std::int64_t>(std::clamp(found->get<double>(), 0.0, 1e6));
  }
  if (orientation_ == map::Orientation::orthogonal) {
    const std::string order = text("renderorder");
    upwards_ = order == "right-up" || order == "left-up";
    leftwards_ = order == "left-up" || order == "left-down";
  }
}

Grid::Point Grid::corner(std::int64_t x, std::int64_t y) const {
  switch (orientation_) {
    case map::Orientation::orthogonal:
      return {x * tile_width_, y * tile_height_};
    case map::Orientation::isometric:
      return {((x - y) * tile_width_ >> 1) - (tile_width_ >> 1), (x + y) * tile_height_ >> 1};
    case map::Orientation::staggered:
    case map::Orientation::hexagonal:
      break;
  }
  // Halves are of whole pixels: Tiled leaves the odd one out of both.
  if (stagger_x_) return {x * column(), y * tile_height_ + (odd(x) ? row() : 0)};
  return {x * tile_width_ + (odd(y) ? column() : 0), y * row()};
}

Grid::Diagonals Grid::diagonals(const Box& p) const {
  return {{floored(2 * p.y, tile_height_) - 2, floored(2 * (p.y + p.height), tile_height_) + 1},
          {floored(2 * p.x, tile_width_) - 2, floored(2 * (p.x + p.width), tile_width_) + 2}};
}

map::Rect Grid::cells_in(const Box& p) const {
  const std::int64_t right = p.x + p.width, bottom = p.y + p.height;
  if (isometric()) {
    const auto [sums, differences] = diagonals(p);
    return {floored(sums.first + differences.first, 2), floored(sums.first - differences.last, 2),
            floored(sums.last + differences.last, 2) + 1, floored(sums.last - differences.first, 2) + 1};
  }
  if (orientation_ == map::Orientation::orthogonal) {
    return {floored(p.x, tile_width_), floored(p.y, tile_height_), floored(right - 1, tile_width_) + 1,
            floored(bottom - 1, tile_height_) + 1};
  }
  if (stagger_x_) {
    return {floored(p.x - tile_width_, column()), floored(p.y - row(), tile_height_), floored(right, column()) + 1,
            floored(bottom, tile_height_) + 1};
  }
  return {floored(p.x - column(), tile_width_), floored(p.y - tile_height_, row()), floored(right, tile_width_) + 1,
          floored(bottom, row()) + 1};
}

Grid::Position Grid::object(double x, double y) const {
  if (!isometric() || tile_height_ == 0) return {x, y};
  const double cell_x = x / static_cast<double>(tile_height_), cell_y = y / static_cast<double>(tile_height_);
  return {(cell_x - cell_y) * static_cast<double>(tile_width_) / 2,
          (cell_x + cell_y) * static_cast<double>(tile_height_) / 2};
}

TileOrder Grid::tile_order() const {
  if (isometric()) return TileOrder::diagonals;
  const bool staggered = orientation_ != map::Orientation::orthogonal;
  return staggered && stagger_x_ ? TileOrder::rows_in_halves : TileOrder::rows;
}

Grid::Box Grid::box(const map::Rect& cells) const {
  // The outermost boxes are those of the corners and, where rows are staggered, of their neighbours.
  std::int64_t x0 = INT64_MAX, y0 = INT64_MAX, x1 = INT64_MIN, y1 = INT64_MIN;
  for (const std::int64_t y :
       {cells.y0, std::min(cells.y0 + 1, cells.y1 - 1), std::max(cells.y1 - 2, cells.y0), cells.y1 - 1})
    for (const std::int64_t x :
         {cells.x0, std::min(cells.x0 + 1, cells.x1 - 1), std::max(cells.x1 - 2, cells.x0), cells.x1 - 1}) {
      const Point p = corner(x, y);
      x0 = std::min(x0, p.x);
      y0 = std::min(y0, p.y);
      x1 = std::max(x1, p.x + tile_width_);
      y1 = std::max(y1, p.y + tile_height_);
    }
  return {x0, y0, x1 - x0, y1 - y0};
}

}  // namespace terrazzo::render

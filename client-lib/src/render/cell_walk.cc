#include "client-lib/src/render/cell_walk.h"

#include <algorithm>

namespace terrazzo::render {
namespace {

using Range = Grid::Range;

// x is half of a sum and a difference, y half of a sum less a difference; both are whole in every second case.
std::int64_t half_down(std::int64_t value) {
  return value >> 1;
}
std::int64_t half_up(std::int64_t value) {
  return (value + 1) >> 1;
}

}  // namespace

void CellWalk::walk(map::LayerId layer, const Grid::Box& pixels, const map::Rect& world, const Put& put) {
  const map::Rect area = grid_.cells_in(pixels).intersect(world);
  if (area.empty()) return;
  if (grid_.tile_order() == TileOrder::diagonals) return diagonals(layer, area, grid_.diagonals(pixels), put);
  rows(layer, area, put);
}

std::uint64_t CellWalk::cell_count(const Grid::Box& pixels, const map::Rect& world) const {
  const map::Rect area = grid_.cells_in(pixels).intersect(world);
  if (area.empty() || grid_.tile_order() != TileOrder::diagonals) return area.area();
  const auto [sums, differences] = grid_.diagonals(pixels);
  const std::int64_t rows = (sums.last - sums.first + 1) / 2 + 1, columns = differences.last - differences.first + 1;
  if (rows <= 0 || columns <= 0) return 0;
  return std::min(area.area(), static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(columns));
}

void CellWalk::rows(map::LayerId layer, const map::Rect& area, const Put& put) {
  const bool halves = grid_.tile_order() == TileOrder::rows_in_halves;
  held_.resize(static_cast<std::size_t>(area.width()));
  for (std::int64_t i = 0; i < area.height(); ++i) {
    const std::int64_t y = grid_.upwards() ? area.y1 - 1 - i : area.y0 + i;
    cells_(layer, {area.x0, y, area.x1, y + 1}, held_);
    for (int half = 0; half < (halves ? 2 : 1); ++half)
      for (std::int64_t j = 0; j < area.width(); ++j) {
        const std::int64_t x = grid_.leftwards() ? area.x1 - 1 - j : area.x0 + j;
        const map::Cell cell = held_[static_cast<std::size_t>(x - area.x0)];
        if (!cell.empty() && (!halves || grid_.shifted(x) == (half == 1))) put(cell, x, y);
      }
  }
}

void CellWalk::diagonals(map::LayerId layer, const map::Rect& area, Grid::Diagonals all, const Put& put) {
  // Beyond the corners of the area there is nothing.
  const Range sums{std::max(all.sums.first, area.x0 + area.y0), std::min(all.sums.last, area.x1 + area.y1 - 2)};
  Range& differences = all.differences;
  differences = {std::max(differences.first, area.x0 - area.y1 + 1), std::min(differences.last, area.x1 - 1 - area.y0)};
  if (differences.first > differences.last) return;
  // So many diagonals have half as many rows of cells as there are sums and differences in all: half of kStripCells for
  // each.
  const std::int64_t across = std::min(differences.last - differences.first + 1, 2 * area.height());
  const std::int64_t at_once = std::clamp<std::int64_t>(kStripCells / across, 16, 512);
  for (std::int64_t first = sums.first; first <= sums.last; first += at_once)
    strip(layer, area, {{first, std::min(first + at_once - 1, sums.last)}, differences}, put);
}

void CellWalk::strip(map::LayerId layer, const map::Rect& area, const Grid::Diagonals& d, const Put& put) {
  const auto& [sums, differences] = d;
  const std::int64_t y0 = std::max(area.y0, half_up(sums.first - differences.last)),
                     y1 = std::min(area.y1 - 1, half_down(sums.last - differences.first));
  if (y0 > y1) return;
  // A row of cells beside the other, each from the strip's first diagonal on: a cell lies at its sum.
  const std::int64_t stride = sums.last - sums.first + 1;
  held_.resize(static_cast<std::size_t>((y1 - y0 + 1) * stride));
  for (std::int64_t y = y0; y <= y1; ++y) {
    const std::int64_t x0 = std::max({area.x0, sums.first - y, differences.first + y}),
                       x1 = std::min({area.x1 - 1, sums.last - y, differences.last + y});
    if (x0 > x1) continue;
    const std::int64_t at = (y - y0) * stride + x0 + y - sums.first;
    cells_(layer, {x0, y, x1 + 1, y + 1},
           std::span(held_).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(x1 - x0 + 1)));
  }
  for (std::int64_t sum = sums.first; sum <= sums.last; ++sum) {
    const std::int64_t x0 = std::max({area.x0, sum - area.y1 + 1, half_up(sum + differences.first)}),
                       x1 = std::min({area.x1 - 1, sum - area.y0, half_down(sum + differences.last)});
    for (std::int64_t x = x0; x <= x1; ++x) {
      const map::Cell cell = held_[static_cast<std::size_t>((sum - x - y0) * stride + sum - sums.first)];
      if (!cell.empty()) put(cell, x, sum - x);
    }
  }
}

}  // namespace terrazzo::render

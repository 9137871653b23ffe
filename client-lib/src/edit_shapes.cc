// Lines, stamps and outlines: runs of cells, joined to rectangles where neighbours are as long.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "terrazzo/edit_draft.h"

namespace terrazzo::client {
namespace {

// No server takes that many ops; what would have more is refused with fewer, too.
constexpr std::size_t kRunsMax = 65536;

// Runs of cells, row after row (or column after column, where the caller swaps x and y).
class Runs {
 public:
  void add(std::int64_t from, std::int64_t end, std::int64_t row) {
    if (from >= end) return;
    const auto above = std::find_if(rects_.begin() + static_cast<std::ptrdiff_t>(before_), rects_.end(),
                                    [&](const map::Rect& r) { return r.x0 == from && r.x1 == end && r.y1 == row; });
    if (above != rects_.end()) {
      above->y1 = row + 1;
    } else if (rects_.size() < kRunsMax) {
      rects_.push_back({from, row, end, row + 1});
    }
  }
  // What is not the row above any more is not looked at again.
  void next_row(std::int64_t row) {
    while (before_ < rects_.size() && rects_[before_].y1 < row) ++before_;
  }
  const std::vector<map::Rect>& rects() const { return rects_; }

 private:
  std::vector<map::Rect> rects_;
  std::size_t before_ = 0;
};

// For each step along the shorter side of a line, the part of the longer one that it covers: Bresenham's choice of the
// nearest, halves away from the start. Both sides count from 0.
std::vector<std::pair<std::int64_t, std::int64_t>> steps_of_line(std::int64_t longer, std::int64_t shorter) {
  std::vector<std::pair<std::int64_t, std::int64_t>> steps{{0, 0}};
  std::int64_t error = longer;
  for (std::int64_t at = 1; at <= longer && steps.size() <= kRunsMax; ++at) {
    error += 2 * shorter;
    if (error >= 2 * longer) {
      error -= 2 * longer;
      steps.push_back({at, at});
    }
    steps.back().second = at;
  }
  return steps;
}

map::Rect swapped(const map::Rect& r) {
  return {r.y0, r.x0, r.y1, r.x1};
}

}  // namespace

EditDraft& EditDraft::line(map::LayerId layer, map::CellPos from, map::CellPos to, map::Cell cell, int thickness) {
  // As a line whose longer side lies along x; the brush is a square around each of its cells.
  std::int64_t x = from.x, y = from.y, dx = std::int64_t{to.x} - from.x, dy = std::int64_t{to.y} - from.y;
  const bool steep = std::abs(dy) > std::abs(dx);
  if (steep) {
    std::swap(x, y);
    std::swap(dx, dy);
  }
  const std::int64_t side = std::max(thickness, 1), before = (side - 1) / 2;
  const auto steps = steps_of_line(std::abs(dx), std::abs(dy));
  const auto count = static_cast<std::int64_t>(steps.size());
  const std::int64_t right = dx < 0 ? -1 : 1, down = dy < 0 ? -1 : 1;
  const std::int64_t top = (down > 0 ? y : y - (count - 1)) - before;
  Runs runs;
  for (std::int64_t row = top; row < top + count + side - 1; ++row) {
    // The steps whose brush covers the row.
    const std::int64_t first = std::max<std::int64_t>(row - top - (side - 1), 0), last = std::min(row - top, count - 1);
    const auto step = [&](std::int64_t i) { return steps[static_cast<std::size_t>(down > 0 ? i : count - 1 - i)]; };
    const std::int64_t nearest = std::min(step(first).first, step(last).first),
                       farthest = std::max(step(first).second, step(last).second);
    const std::int64_t a = x + right * nearest, b = x + right * farthest;
    runs.next_row(row);
    runs.add(std::min(a, b) - before, std::max(a, b) - before + side, row);
  }
  for (const map::Rect& rect : runs.rects()) fill(layer, steep ? swapped(rect) : rect, cell);
  return *this;
}

EditDraft& EditDraft::stamp(map::LayerId layer, map::CellPos at, int width, std::span<const map::Cell> pattern) {
  if (width < 1) return *this;
  const auto columns = static_cast<std::size_t>(width);
  const auto rows = static_cast<std::int64_t>((pattern.size() + columns - 1) / columns);
  Runs runs;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto line = pattern.subspan(static_cast<std::size_t>(row) * columns);
    const std::size_t end = std::min(columns, line.size());
    runs.next_row(row);
    for (std::size_t x = 0; x < end; ++x) {
      const std::size_t from = x;
      while (x < end && !line[x].empty()) ++x;
      runs.add(static_cast<std::int64_t>(from), static_cast<std::int64_t>(x), row);
    }
  }
  std::vector<map::Cell> cells;
  for (const map::Rect& rect : runs.rects()) {
    cells.clear();
    for (std::int64_t row = rect.y0; row < rect.y1; ++row) {
      const auto line = pattern.subspan(static_cast<std::size_t>(row) * columns + static_cast<std::size_t>(rect.x0),
                                        static_cast<std::size_t>(rect.width()));
      cells.insert(cells.end(), line.begin(), line.end());
    }
    set(layer, {at.x + rect.x0, at.y + rect.y0, at.x + rect.x1, at.y + rect.y1}, cells);
  }
  return *this;
}

EditDraft& EditDraft::outline(map::LayerId layer, const map::Rect& rect, map::Cell cell, int thickness) {
  if (rect.empty()) return *this;
  const std::int64_t side = std::max(thickness, 1);
  if (2 * side >= std::min(rect.width(), rect.height())) return fill(layer, rect, cell);
  return fill(layer, {rect.x0, rect.y0, rect.x1, rect.y0 + side}, cell)
      .fill(layer, {rect.x0, rect.y1 - side, rect.x1, rect.y1}, cell)
      .fill(layer, {rect.x0, rect.y0 + side, rect.x0 + side, rect.y1 - side}, cell)
      .fill(layer, {rect.x1 - side, rect.y0 + side, rect.x1, rect.y1 - side}, cell);
}

EditDraft& EditDraft::ellipse(map::LayerId layer, const map::Rect& rect, map::Cell cell) {
  if (rect.empty()) return *this;
  const auto width = static_cast<double>(rect.width()), height = static_cast<double>(rect.height());
  // The first column whose middle lies inside; rows outside have none. The rows in the middle reach the sides, and each
  // row has a cell in the middle, also where a flat or narrow one passes between the middles of cells.
  const auto inside_from = [&](std::int64_t row) -> std::int64_t {
    if (row < 0 || row >= rect.height()) return rect.width();
    if (row == rect.height() / 2 || row == (rect.height() - 1) / 2) return 0;
    const double across = (2 * static_cast<double>(row) + 1 - height) / height;
    const double from = std::ceil((width - 1 - width * std::sqrt(1 - across * across)) / 2);
    return std::min(static_cast<std::int64_t>(from), (rect.width() - 1) / 2);
  };
  Runs runs;
  for (std::int64_t row = 0; row < rect.height() && runs.rects().size() < kRunsMax; ++row) {
    // A cell is on the edge when the one beside, above or below it is not inside.
    const std::int64_t from = inside_from(row);
    const std::int64_t end = std::max(from + 1, std::max(inside_from(row - 1), inside_from(row + 1)));
    const std::int64_t y = rect.y0 + row;
    runs.next_row(y);
    if (end >= rect.width() - end) {
      runs.add(rect.x0 + from, rect.x1 - from, y);
    } else {
      runs.add(rect.x0 + from, rect.x0 + end, y);
      runs.add(rect.x1 - end, rect.x1 - from, y);
    }
  }
  for (const map::Rect& run : runs.rects()) fill(layer, run, cell);
  return *this;
}

}  // namespace terrazzo::client

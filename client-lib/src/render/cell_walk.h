#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "client-lib/src/render/grid.h"
#include "map/coords.h"
#include "terrazzo/render.h"

namespace terrazzo::render {

// Goes through the cells of a tile layer in the order in which their tiles are drawn. Holds one row of cells, or on
// isometric maps a strip of kStripCells at most between two diagonals, whatever the size of the area; keeps that memory
// for the next walk.
class CellWalk {
 public:
  CellWalk(const Grid& grid, const CellReader& cells) : grid_(grid), cells_(cells) {}
  // 1 MiB of cells. A strip has more only where a few diagonals have.
  static constexpr std::int64_t kStripCells = 1 << 18;

  // Calls `put` for all cells that are not empty, whose boxes touch these pixels, and for few others.
  using Put = std::function<void(map::Cell cell, std::int64_t x, std::int64_t y)>;
  void walk(map::LayerId layer, const Grid::Box& pixels, const map::Rect& world, const Put& put);
  // How many it looks at, or somewhat more.
  std::uint64_t cell_count(const Grid::Box& pixels, const map::Rect& world) const;

 private:
  void rows(map::LayerId layer, const map::Rect& area, const Put& put);
  void diagonals(map::LayerId layer, const map::Rect& area, Grid::Diagonals all, const Put& put);
  void strip(map::LayerId layer, const map::Rect& area, const Grid::Diagonals& d, const Put& put);

  const Grid& grid_;
  const CellReader& cells_;
  std::vector<map::Cell> held_;
};

}  // namespace terrazzo::render

#pragma once

#include <algorithm>
#include <cstdint>

#include "map/coords.h"
#include "map/world.h"

namespace terrazzo::render {

// The order in which the tiles of a layer are drawn, each over those before it.
enum class TileOrder : std::uint8_t {
  rows,            // row by row of cells
  rows_in_halves,  // row by row; of each row first the columns that are not shifted down, then those that are
  diagonals,       // by x + y, then by x: the rows of an isometric screen
};

// The shape of a world's grid: where cells lie in pixels. After Tiled's map renderers.
class Grid {
 public:
  explicit Grid(const map::World& world);
  struct Point {
    std::int64_t x = 0, y = 0;
  };
  // The corner of the box of tile_width × tile_height that the cell's tile stands in.
  Point corner(std::int64_t cell_x, std::int64_t cell_y) const;
  // The pixels that these cells' boxes cover: corner and size.
  struct Box {
    std::int64_t x = 0, y = 0, width = 0, height = 0;
  };
  Box box(const map::Rect& cells) const;
  // At least the cells whose boxes touch these pixels, and few others: of an isometric map, where they lie between four
  // diagonals, the rectangle around those.
  map::Rect cells_in(const Box& pixels) const;
  struct Range {
    std::int64_t first = 0, last = 0;  // both included
  };
  // Diagonals of an isometric map: the rows and columns of its screen.
  struct Diagonals {
    Range sums, differences;  // of x + y and x - y
  };
  // At least those of the cells whose boxes touch these pixels.
  Diagonals diagonals(const Box& pixels) const;

  struct Position {
    double x = 0, y = 0;
  };
  // Where an object lies, whose position is in the map's own pixels: on isometric maps a cell is tile_height of them in
  // both directions.
  Position object(double x, double y) const;

  TileOrder tile_order() const;
  // Rows are drawn from the bottom, cells of a row from the right; only orthogonal maps can say so.
  bool upwards() const { return upwards_; }
  bool leftwards() const { return leftwards_; }
  // Of a column, where columns are staggered.
  bool shifted(std::int64_t cell_x) const { return odd(cell_x); }
  bool isometric() const { return orientation_ == map::Orientation::isometric; }
  bool hexagonal() const { return orientation_ == map::Orientation::hexagonal; }

 private:
  bool odd(std::int64_t value) const { return ((value & 1) != 0) == stagger_odd_; }
  // From one staggered column or row to the next, in pixels; at least one, or all of them would lie on each other.
  std::int64_t column() const { return std::max<std::int64_t>((tile_width_ - side_x_) / 2 + side_x_, 1); }
  std::int64_t row() const { return std::max<std::int64_t>((tile_height_ - side_y_) / 2 + side_y_, 1); }

  map::Orientation orientation_;
  std::int64_t tile_width_, tile_height_, side_x_ = 0, side_y_ = 0;
  bool stagger_x_ = false, stagger_odd_ = true;
  bool upwards_ = false, leftwards_ = false;
};

}  // namespace terrazzo::render

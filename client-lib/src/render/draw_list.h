#pragma once

#include <cstdint>
#include <vector>

#include "map/world.h"
#include "terrazzo/render.h"

namespace terrazzo::render {

// One picture to put somewhere: positions in pixels of the art, before scaling, from the corner of the view.
struct DrawCommand {
  Sprite sprite;
  std::uint32_t flips = 0;  // map::Cell's
  std::int64_t x = 0, y = 0;
  std::uint32_t width = 0, height = 0;  // on the picture; other than the sprite's: stretched
  float opacity = 1;
  std::uint32_t tint = 0xFFFFFFFF;  // ARGB, multiplied
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

 private:
  bool odd(std::int64_t value) const { return ((value & 1) != 0) == stagger_odd_; }
  map::Orientation orientation_;
  std::int64_t tile_width_, tile_height_, side_ = 0;
  bool stagger_x_ = false, stagger_odd_ = true;
};

// Everything the view shows, back to front.
std::vector<DrawCommand> draw_list(const map::World& world, const TileArt& art, const CellReader& cells,
                                   const map::Rect& view);

}  // namespace terrazzo::render

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "client-lib/src/render/cell_walk.h"
#include "client-lib/src/render/grid.h"
#include "client-lib/src/render/look.h"
#include "client-lib/src/render/tile_reach.h"
#include "map/formats/json_reader.h"
#include "map/world.h"
#include "terrazzo/render.h"

namespace terrazzo::render {

// One picture to put somewhere: positions in pixels of the art, before scaling, from the corner of the whole view,
// whichever part of it is drawn. Thus parts come out of the same arithmetic, and fit together to the last bit.
struct DrawCommand {
  Sprite sprite;
  std::uint32_t flips = 0;                  // map::Cell's horizontal, vertical and diagonal one; before the rotation
  double center_x = 0, center_y = 0;        // of the picture, and what it is rotated about
  double width = 0, height = 0;             // after flips, before the rotation; other than the sprite's: stretched
  double angle = 0;                         // degrees, clockwise
  bool repeat_x = false, repeat_y = false;  // over the whole view; only pictures that are not stretched nor rotated
  float opacity = 1;
  std::uint32_t tint = 0xFFFFFFFF;  // ARGB, multiplied
};

// What a view shows, back to front, a part at a time. Objects and images are listed once; cells are read anew for each
// part. World, art and reader outlive it. Memory: a DrawCommand for each object that is a tile, and a CellWalk.
class DrawList {
 public:
  DrawList(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view);

  // Calls `put` for everything that touches these pixels of the view's picture.
  using Put = std::function<void(const DrawCommand&)>;
  void put_part(const Grid::Box& part, const Put& put);
  // How many cells put_part looks at for them.
  std::uint64_t cells_of_part(const Grid::Box& part) const;

 private:
  struct Drawn {
    const map::Layer* layer = nullptr;
    Look look;
    std::vector<DrawCommand> pictures;  // of layers that have no cells
  };
  Grid::Box boxes(const Drawn& drawn, const Grid::Box& part) const;
  DrawCommand tile(const Sprite& sprite, map::Cell cell, std::int64_t x, std::int64_t y, const Look& look) const;
  void add_image(Drawn& drawn) const;
  void add_objects(Drawn& drawn) const;
  void add_object(Drawn& drawn, const formats::Json& object) const;

  const map::World& world_;
  const TileArt& art_;
  const Grid grid_;
  const Grid::Box box_;  // the pixels of the view
  const std::optional<TileReach> reach_;
  CellWalk walk_;
  std::vector<Drawn> layers_;
};

}  // namespace terrazzo::render

#pragma once

#include <cstdint>
#include <functional>

#include "map/world.h"
#include "terrazzo/render.h"

namespace terrazzo::render {

// One picture to put somewhere: positions in pixels of the art, before scaling, from the corner of the band that is
// drawn.
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

// Rows of pixels of the view's picture before scaling.
struct Band {
  std::int64_t y = 0, height = 0;
};

// Calls `put` for everything that the band shows, back to front.
void draw_list(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view, Band band,
               const std::function<void(const DrawCommand&)>& put);

}  // namespace terrazzo::render

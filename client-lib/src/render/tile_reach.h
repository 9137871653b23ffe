#pragma once

#include <cstdint>
#include <optional>

#include "client-lib/src/render/grid.h"
#include "map/world.h"
#include "terrazzo/render.h"

namespace terrazzo::render {

// How far the pictures of a world's tiles reach out of their cells' boxes at most, in pixels, however they are flipped.
// Negative: they all end so far within.
struct TileReach {
  std::int64_t left = 0, up = 0, right = 0, down = 0;

  // The boxes that touch these pixels are at least those whose pictures touch `pixels`, in layers moved by the offset.
  Grid::Box boxes(const Grid::Box& pixels, double offset_x, double offset_y) const;
};

// None: no tile has a picture.
std::optional<TileReach> tile_reach(const map::World& world, const TileArt& art);

// Whether such a tile is drawn in cells at all: within kTileReachMax.
bool within_reach(const Sprite& sprite);

}  // namespace terrazzo::render

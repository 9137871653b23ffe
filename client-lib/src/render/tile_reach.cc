#include "client-lib/src/render/tile_reach.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace terrazzo::render {

bool within_reach(const Sprite& s) {
  constexpr std::int64_t most = kTileReachMax;
  return s.width <= most && s.height <= most && std::abs(std::int64_t{s.offset_x}) <= most &&
         std::abs(std::int64_t{s.offset_y}) <= most;
}

std::optional<TileReach> tile_reach(const map::World& world, const TileArt& art) {
  constexpr std::int64_t most = kTileReachMax;
  std::optional<TileReach> all;
  for (Sprite sprite : art.largest()) {
    // Of a collection some pictures may fit, and those reach at most so far.
    sprite.width = static_cast<std::uint32_t>(std::min<std::int64_t>(sprite.width, most));
    sprite.height = static_cast<std::uint32_t>(std::min<std::int64_t>(sprite.height, most));
    if (!within_reach(sprite)) continue;
    const bool fills = sprite.fill != Sprite::Fill::none;
    const std::int64_t width = fills ? world.tile_width : sprite.width,
                       height = fills ? world.tile_height : sprite.height;
    // A turned tile stands on the same corner. What keeps its aspect is moved within the cell before it is turned.
    const std::int64_t side = std::max(width, height), moved = fills ? side : 0;
    // On hexagons a tile is turned about its middle instead, and its corners go round in a circle.
    const std::int64_t around =
        world.orientation == map::Orientation::hexagonal
            ? static_cast<std::int64_t>(std::ceil(std::hypot(static_cast<double>(side), static_cast<double>(side)) / 2))
            : 0;
    const TileReach one{around - sprite.offset_x, around + moved + side - world.tile_height - sprite.offset_y,
                        around + moved + side - world.tile_width + sprite.offset_x, around + sprite.offset_y};
    if (!all) all = one;
    all = TileReach{std::max(all->left, one.left), std::max(all->up, one.up), std::max(all->right, one.right),
                    std::max(all->down, one.down)};
  }
  return all;
}

Grid::Box TileReach::boxes(const Grid::Box& pixels, double offset_x, double offset_y) const {
  // One more on each side, for what lies between whole pixels.
  const std::int64_t x = pixels.x - static_cast<std::int64_t>(std::floor(offset_x)) - 1,
                     y = pixels.y - static_cast<std::int64_t>(std::floor(offset_y)) - 1;
  return {x - right, y - down, pixels.width + 2 + right + left, pixels.height + 2 + down + up};
}

}  // namespace terrazzo::render

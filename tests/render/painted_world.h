#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "terrazzo/render.h"

namespace terrazzo::render {

// A small world without bounds, whose pictures are kept with it. Cells and pictures are random; what else it has, the
// test adds.
class PaintedWorld {
 public:
  explicit PaintedWorld(std::uint64_t seed) : random(seed) {}

  // A sheet of two tiles.
  map::Tileset& add_tileset(std::uint32_t tile_width, std::uint32_t tile_height);
  // A picture of random pixels, a third of them translucent; its hash.
  std::string add_picture(std::uint32_t width, std::uint32_t height);
  map::Layer& add_layer(map::LayerKind kind);
  // A third of these cells, in all tile layers, with any tile and flips.
  void paint(const map::Rect& cells);

  TileArt art() const;
  CellReader reader() const;
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  }

  map::World world;
  std::mt19937_64 random;
  mutable std::uint64_t cells_read = 0;

 private:
  std::map<std::string, std::string> pngs_;                                                   // by hash
  std::map<map::LayerId, std::map<std::pair<std::int64_t, std::int64_t>, map::Cell>> cells_;  // by y and x
};

}  // namespace terrazzo::render

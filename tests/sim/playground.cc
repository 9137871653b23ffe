#include "tests/sim/playground.h"

namespace terrazzo::sim {

map::World playground(const char* name) {
  map::World world;
  world.name = name;
  for (const map::LayerId id : kLayers) {
    map::Layer layer;
    layer.id = id;
    layer.name = "layer " + std::to_string(id);
    world.layers.push_back(layer);
  }
  map::Tileset tiles;
  tiles.tile_count = kTiles;
  tiles.name = "tiles";
  tiles.tile_width = tiles.tile_height = 32;
  tiles.columns = 16;
  world.tilesets.push_back(tiles);
  return world;
}

}  // namespace terrazzo::sim

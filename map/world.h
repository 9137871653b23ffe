#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "map/coords.h"

namespace terrazzo::map {

// Stable for the life of the world, never reused; also the layer's place in a shard's layer directory.
using LayerId = std::uint8_t;
inline constexpr int kLayersMax = 256;

enum class LayerKind : std::uint8_t { tile, object, image, group };
enum class Orientation : std::uint8_t { orthogonal, isometric, staggered, hexagonal };

// `extra` in the structs below is a JSON object (text; empty for none) in the words of Tiled's JSON map format. It
// holds everything of an imported map that has no field here (properties, objects, animations, terrains, collision
// shapes …), so that an export gives back all that an import took. Tile numbers inside it are the world's tile indices.
struct Layer {
  LayerId id = 0;
  LayerKind kind = LayerKind::tile;
  std::optional<LayerId> parent;  // a group layer; layers are listed parents first, in drawing order
  std::string name;
  float opacity = 1;
  bool visible = true;
  bool locked = false;
  std::uint32_t tint = 0xFFFFFFFF;       // ARGB, multiplied
  float offset_x = 0, offset_y = 0;      // pixels
  float parallax_x = 1, parallax_y = 1;  // factor of the camera's movement
  std::string extra;
};

// An image stored on the server under the lower-case hex SHA-256 of its bytes.
struct Asset {
  std::string hash;  // empty: no image
  std::string name;  // the file name it was imported from
  std::uint32_t width = 0, height = 0;
};

// A tile of an image collection. `tile` is the index within the tileset.
struct CollectionTile {
  std::uint32_t tile = 0;
  Asset image;
};

// Owns the tile indices [first_tile, first_tile + tile_count) of its world. Appended, never renumbered.
struct Tileset {
  std::uint32_t first_tile = 1;
  std::uint32_t tile_count = 0;
  std::string name;
  std::uint32_t tile_width = 0, tile_height = 0;  // pixels
  std::uint32_t columns = 0;                      // 0: an image collection
  std::uint32_t margin = 0, spacing = 0;          // pixels
  std::int32_t draw_offset_x = 0, draw_offset_y = 0;
  Asset image;                         // the sheet; empty for a collection
  std::vector<CollectionTile> images;  // a collection's tiles, by increasing `tile`
  std::string extra;
};

// Everything about a world but its cells. A value: published whole, replaced whole.
struct World {
  WorldId id;
  std::string name;
  Orientation orientation = Orientation::orthogonal;
  std::uint32_t tile_width = 32, tile_height = 32;  // pixels
  std::optional<Rect> bounds;                       // cells; none: infinite
  std::vector<Layer> layers;
  std::vector<Tileset> tilesets;
  std::string extra;

  const Layer* find_layer(LayerId layer) const {
    for (const Layer& l : layers)
      if (l.id == layer) return &l;
    return nullptr;
  }
  Rect area() const { return bounds ? bounds->intersect(kPlane) : kPlane; }
  // One more than the largest tile index in use.
  std::uint32_t tile_end() const {
    std::uint32_t end = 1;
    for (const Tileset& t : tilesets) end = std::max(end, t.first_tile + t.tile_count);
    return end;
  }
};

}  // namespace terrazzo::map

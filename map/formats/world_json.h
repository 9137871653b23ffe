#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "map/world.h"

// The JSON form of a world's metadata: what HTTP, the JSON form of the protocol and the server's world file hold.
//
//   {"id": "17", "name": "island", "orientation": "orthogonal", "tile_width": 16, "tile_height": 16,
//    "bounds": [x, y, w, h],                            // absent: infinite
//    "layers": [{"id": 1, "kind": "tile", "parent": 3, "name": "Ground", "opacity": 1, "visible": true, "locked":
//    false,
//                "tint": "#AARRGGBB", "offset_x": 0, "offset_y": 0, "parallax_x": 1, "parallax_y": 1, "extra": {}}],
//    "tilesets": [{"first_tile": 1, "tile_count": 936, "name": "beach", "tile_width": 16, "tile_height": 16,
//                  "columns": 36, "margin": 0, "spacing": 0, "draw_offset_x": 0, "draw_offset_y": 0,
//                  "image": {"hash": "<64 hex digits>", "name": "beach.png", "width": 576, "height": 416},
//                  "images": [{"tile": 0, "image": {…}}], "extra": {}}],
//    "extra": {}}
//
// Kinds and orientations are the names of the enumerators. On reading, only `name` of the world, `id` of a layer and
// `first_tile` of a tileset are required; what is missing has the struct's default, unknown fields are ignored.
namespace terrazzo::formats {

inline constexpr std::size_t kNameBytesMax = 255;        // of worlds, layers and tilesets
inline constexpr std::size_t kAssetNameBytesMax = 4096;  // a relative path
inline constexpr std::uint32_t kTilePixelsMax = 1u << 16;
inline constexpr std::size_t kTilesetsMax = 1u << 16;

// Any thread. An `extra` that is not the text of a JSON object is left out; check_world() finds such.
std::string world_to_json(const map::World& world);

// bad_message names the field and what would be right; too_large for counts over a limit. The result passes
// check_world().
Result<map::World> world_from_json(std::string_view text);

// The rules every world obeys: layer ids unique; parents are groups listed before their children; tilesets do not
// overlap and end below 2^28; sizes and factors are sane; the world's name is not empty; names are UTF-8 of at most
// kNameBytesMax bytes (layers and tilesets may have none, as in Tiled); asset hashes are 64 lower-case hex digits;
// every `extra` is empty or a JSON object.
Status check_world(const map::World& world);

std::string_view orientation_name(map::Orientation orientation);
std::string_view layer_kind_name(map::LayerKind kind);

}  // namespace terrazzo::formats

#pragma once

#include <string_view>

#include "base/error.h"
#include "map/world.h"

namespace terrazzo::formats {

// A world with other metadata, as a patch of its JSON form (world_json.h) says: members that are there replace what
// was; layers and tilesets are named by `id` and `first_tile`, those that are not named stay as they are.
//
//   {"name": "isle", "extra": {…},
//    "layers": [{"id": 1, "name": "Floor", "opacity": 0.5, "visible": true, "locked": false, "tint": "#AARRGGBB",
//                "offset_x": 0, "offset_y": 0, "parallax_x": 1, "parallax_y": 1, "extra": {…}}],
//    "tilesets": [{"first_tile": 1, "name": "beach", "draw_offset_x": 0, "draw_offset_y": 0, "extra": {…}}]}
//
// Nothing else changes: what cells mean, and which there are, hangs on it. bad_message names the member; not_found: no
// such layer or tileset. The result passes check_world().
Result<map::World> patch_world(const map::World& world, std::string_view patch);

}  // namespace terrazzo::formats

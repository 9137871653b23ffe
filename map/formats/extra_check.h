#pragma once

#include <cstdint>

#include "base/error.h"
#include "map/world.h"

namespace terrazzo::formats {

enum class TiledForm : std::uint8_t { xml, json };

// Whether the members of `extra` that an export to Tiled reads have the types that Tiled gives them. A world may come
// from any server, and `extra` is free JSON there; after this check the writers may read it without looking again.
// bad_message names the layer or tileset, the member, what it is and what would be right. For `xml` also every member
// that becomes an attribute must have a name that XML allows. Pure; any thread.
Status check_tiled_extra(const map::World& world, TiledForm form);

}  // namespace terrazzo::formats

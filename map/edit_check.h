#pragma once

#include <cstdint>

#include "base/error.h"
#include "map/edit.h"
#include "map/world.h"

namespace terrazzo::map {

struct EditLimits {
  std::uint32_t ops_max = 256;
  std::uint32_t conditions_max = 256;
  std::uint32_t cells_max = 65536;           // in all set ops and conditions together; fill and replace carry none
  std::uint32_t derived_cells_max = 262144;  // that all copy ops read, and the bounds of all flood ops, together
};

// Whether the edit makes sense in this world: at least one op; every layer there and a tile layer; every rectangle not
// empty and inside world.area(); as many cells as a set's rectangle has; every tile below world.tile_end(); a flood
// begins in its bounds; copies are turned on square grids only.
// bad_message, not_found, out_of_bounds, too_large, unsupported: the message names the op by its index and says what
// would be right.
Status check_edit(const World& world, const Edit& edit, const EditLimits& limits);

}  // namespace terrazzo::map

#pragma once

#include <functional>

#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

namespace terrazzo::map {

// The cells of one chunk of one layer: 1024 row-major ones, or null when all are `fill`.
struct ChunkCells {
  const Cell* cells = nullptr;
  Cell fill;
  bool known = true;  // false: a replica that does not hold the chunk
};
// What it returns holds until it is called again.
using ReadChunk = std::function<ChunkCells(LayerId, ChunkPos)>;

}  // namespace terrazzo::map

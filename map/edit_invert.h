#pragma once

#include <array>
#include <functional>
#include <vector>

#include "base/arena.h"
#include "map/edit.h"

namespace terrazzo::map {

// The cells of one chunk of one layer before the edit: 1024 row-major ones, or null when all are `fill`.
struct ChunkCells {
  const Cell* cells = nullptr;
  Cell fill;
};
using ReadChunk = std::function<ChunkCells(LayerId, ChunkPos)>;

// Ops that give back what `ops`, applied in order to the state that `read` shows, overwrite. Uniform parts become
// fills, and neighbouring equal fills are joined, so the inverse of a huge fill over empty land is small. Results live
// in `arena`.
std::vector<Op> invert_ops(std::span<const Op> ops, const ReadChunk& read, Arena& arena);

}  // namespace terrazzo::map

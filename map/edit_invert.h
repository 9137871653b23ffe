#pragma once

#include <vector>

#include "base/arena.h"
#include "map/edit.h"
#include "map/read_chunk.h"

namespace terrazzo::map {

// Ops that give back what `ops`, applied in order to the state that `read` shows, overwrite. Uniform parts become
// fills, and neighbouring equal fills are joined, so the inverse of a huge fill over empty land is small. Results live
// in `arena`.
std::vector<Op> invert_ops(std::span<const Op> ops, const ReadChunk& read, Arena& arena);

}  // namespace terrazzo::map

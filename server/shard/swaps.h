#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/arena.h"
#include "map/coords.h"
#include "map/edit.h"
#include "server/shard/messages.h"

// Making swaps: what an edit that rests on cells being what somebody saw is made of (undo, merge).
namespace terrazzo::shard {

using ChunkCells = std::array<map::Cell, map::kChunkCells>;

// Adds swaps that make `to` of `from` in a chunk: one around all cells that differ, or rows, whichever is smaller.
// Cells between them that do not differ say so (from equals to), and are nobody's change. Cells live in the arena.
void add_swaps(map::LayerId layer, map::ChunkPos chunk, const ChunkCells& from, const ChunkCells& to, Arena& arena,
               std::vector<Swap>& swaps);

// What they take in a log; a coordinator writes those of all parts into one record, a segment's worth at most.
std::size_t bytes_of(std::span<const Swap> swaps);
inline constexpr std::size_t kSwapBytesMax = 64 << 20;

}  // namespace terrazzo::shard

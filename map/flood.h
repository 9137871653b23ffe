#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "map/edit.h"
#include "map/read_chunk.h"

namespace terrazzo::map {

// Cells of a chunk: bit x of row y.
using ChunkMask = std::array<std::uint32_t, kChunkSize>;

struct FloodedChunk {
  ChunkPos chunk;
  Cell from;  // what all of them hold
  ChunkMask cells;
};

// What a flood changes, by chunk, in rows of chunks: nothing where it begins on its own cell, or on one that is not
// known. Pure; any thread.
std::vector<FloodedChunk> flooded(const Op& flood, const ReadChunk& read);

// The same cells as rectangles that do not meet.
std::vector<Rect> rects_of(const FloodedChunk& flooded);

}  // namespace terrazzo::map

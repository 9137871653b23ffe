#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/arena.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/edit.h"

// What an edit does to cells: the one place that server and client share, so that both compute the same. Ops are taken
// chunk by chunk, as that is how cells are kept. Pure; any thread.
namespace terrazzo::map {

// Calls visit(ChunkPos, Rect) for each chunk that `cells` touches, by row and column, with the part of the rectangle
// that lies in it. `cells` lies inside kPlane.
template <class Visit>
void for_each_chunk_part(const Rect& cells, Visit&& visit) {
  const Rect chunks = chunks_of(cells);
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x) {
      const ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
      visit(chunk, cells.intersect(cells_of(chunk)));
    }
}

// Applies the part of `op` that lies in `chunk` to its 1024 cells (row-major).
void apply_op(const Op& op, ChunkPos chunk, std::span<Cell, kChunkCells> cells);

// Whether the part of the condition that lies in `chunk` holds for its 1024 cells.
bool condition_holds(const Condition& condition, ChunkPos chunk, std::span<const Cell, kChunkCells> cells);

// The part of an op (condition) inside `area`, which it touches; cells are copied to `arena` where they do not lie
// together.
Op clip(const Op& op, const Rect& area, Arena& arena);
Condition clip(const Condition& condition, const Rect& area, Arena& arena);

}  // namespace terrazzo::map

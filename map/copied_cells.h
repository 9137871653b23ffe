#pragma once

#include <span>
#include <vector>

#include "map/edit.h"
#include "map/read_chunk.h"

namespace terrazzo::map {

// The cells of a rectangle, row by row; `out` has rect.area() of them. False: some are not known, and empty in `out`.
bool read_cells(const ReadChunk& read, LayerId layer, const Rect& rect, std::span<Cell> out);

// What a part of its rectangle is after a copy, row by row; `out` has part.area() cells. False: some of what it copies
// is not known. `scratch` is the caller's, so that it can be used again.
bool copied_cells(const Op& copy, const Rect& part, const ReadChunk& read, std::vector<Cell>& scratch,
                  std::span<Cell> out);

}  // namespace terrazzo::map

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "map/cell.h"
#include "map/coords.h"

// Palette and bit packing for 1024 cells: on real maps a seventh of the plain size, and quick on both sides.
// Layout: u8 bits per cell (0, 1, 2, 4, 8 or 32), u8 0, u16 palette size n (little-endian; 0 for 32 bits),
// n palette cells (u32, in order of first appearance), then 1024 indices packed from the low bit up
// (32 bits: the cells themselves).
namespace terrazzo::map {

// Appends the encoding of 1024 cells to `out`.
void encode_chunk(std::span<const Cell, kChunkCells> cells, std::vector<std::byte>& out);

// bad_message when the bytes are not an encoding of exactly one chunk.
Status decode_chunk(std::span<const std::byte> coded, std::span<Cell, kChunkCells> cells);

}  // namespace terrazzo::map

#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "map/cell.h"
#include "map/coords.h"

namespace terrazzo::shard {

// The store keeps plain 32-bit words and knows nothing of maps; this is the one place where words become cells.
static_assert(sizeof(map::Cell) == sizeof(std::uint32_t) && std::is_trivially_copyable_v<map::Cell> &&
              std::is_standard_layout_v<map::Cell>);

inline std::span<map::Cell, map::kChunkCells> cells_of_page(std::uint32_t* words) {
  return std::span<map::Cell, map::kChunkCells>(reinterpret_cast<map::Cell*>(words), map::kChunkCells);
}
inline std::span<const map::Cell, map::kChunkCells> cells_of_page(const std::uint32_t* words) {
  return std::span<const map::Cell, map::kChunkCells>(reinterpret_cast<const map::Cell*>(words), map::kChunkCells);
}

}  // namespace terrazzo::shard

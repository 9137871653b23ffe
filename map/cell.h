#pragma once

#include <cstdint>

namespace terrazzo::map {

// What one grid position holds: the low 28 bits are the tile's index in the world (0: empty), the high 4 bits the
// flips, as in Tiled. Trivially copyable; stored and sent as a little-endian 32-bit number.
struct Cell {
  std::uint32_t bits = 0;

  static constexpr std::uint32_t kFlipHorizontal = 0x80000000u;
  static constexpr std::uint32_t kFlipVertical = 0x40000000u;
  static constexpr std::uint32_t kFlipDiagonal = 0x20000000u;
  static constexpr std::uint32_t kRotateHex120 = 0x10000000u;
  static constexpr std::uint32_t kTileMask = 0x0FFFFFFFu;

  constexpr std::uint32_t tile() const { return bits & kTileMask; }
  constexpr std::uint32_t flips() const { return bits & ~kTileMask; }
  constexpr bool empty() const { return bits == 0; }
  constexpr bool operator==(const Cell&) const = default;
};
static_assert(sizeof(Cell) == 4);

}  // namespace terrazzo::map

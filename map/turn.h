#pragma once

#include <cstdint>
#include <utility>

#include "map/cell.h"
#include "map/coords.h"

namespace terrazzo::map {

enum class Flip : std::uint8_t { none, horizontal, vertical, both };

// One of the eight ways in which a rectangle of cells can be laid down again, said as a cell says its own: along the
// diagonal first (columns become rows), then from left to right, then from top to bottom. What a cell shows is turned
// with it, as Tiled does on orthogonal maps (TileLayer::flip, TileLayer::rotate).
struct Turn {
  bool horizontal = false, vertical = false, diagonal = false;

  // Flipped, then turned clockwise by so many quarters.
  static constexpr Turn of(Flip flip, unsigned quarters) {
    Turn turn{flip == Flip::horizontal || flip == Flip::both, flip == Flip::vertical || flip == Flip::both, false};
    for (unsigned i = 0; i < (quarters & 3u); ++i) turn = {!turn.vertical, turn.horizontal, !turn.diagonal};
    return turn;
  }
  // The same again, as a flip and at most one quarter.
  constexpr unsigned quarters() const { return diagonal ? 1 : 0; }
  constexpr Flip flip() const {
    const bool h = diagonal ? vertical : horizontal, v = diagonal ? !horizontal : vertical;
    return static_cast<Flip>((h ? 1u : 0u) | (v ? 2u : 0u));
  }

  constexpr bool none() const { return !horizontal && !vertical && !diagonal; }
  constexpr bool operator==(const Turn&) const = default;

  constexpr Cell turned(Cell cell) const {
    const bool h = (cell.bits & Cell::kFlipHorizontal) != 0, v = (cell.bits & Cell::kFlipVertical) != 0;
    const bool d = (cell.bits & Cell::kFlipDiagonal) != 0;
    if (cell.empty()) return cell;
    // Along the diagonal, what was flipped one way is flipped the other.
    const bool across = (diagonal ? v : h) != horizontal, down = (diagonal ? h : v) != vertical, along = d != diagonal;
    return Cell{(cell.bits & (Cell::kTileMask | Cell::kRotateHex120)) | (across ? Cell::kFlipHorizontal : 0u) |
                (down ? Cell::kFlipVertical : 0u) | (along ? Cell::kFlipDiagonal : 0u)};
  }
  // Width and height of what becomes of a rectangle, or the other way round.
  constexpr std::pair<std::int64_t, std::int64_t> size_of(std::int64_t width, std::int64_t height) const {
    return diagonal ? std::pair(height, width) : std::pair(width, height);
  }
  // Which column and row of the source a place of the target of this size shows.
  constexpr std::pair<std::int64_t, std::int64_t> source_of(std::int64_t x, std::int64_t y, std::int64_t width,
                                                            std::int64_t height) const {
    const std::int64_t across = horizontal ? width - 1 - x : x, down = vertical ? height - 1 - y : y;
    return diagonal ? std::pair(down, across) : std::pair(across, down);
  }
};

}  // namespace terrazzo::map

#pragma once

#include <cstdint>
#include <span>

#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

namespace terrazzo::map {

enum class OpKind : std::uint8_t {
  set,      // cells (row-major, rect.area() of them) are written to rect
  fill,     // every cell of rect becomes `cell`
  replace,  // every cell of rect that equals `from` becomes `cell`
};

// A view: `cells` points into the frame or arena that the edit was decoded into and lives as long as that.
struct Op {
  OpKind kind = OpKind::set;
  LayerId layer = 0;
  Rect rect;
  Cell cell;
  Cell from;
  std::span<const Cell> cells;
};

// Holds iff every cell of rect equals `cell`, or, where cells are given, equals those (row-major).
struct Condition {
  LayerId layer = 0;
  Rect rect;
  Cell cell;
  std::span<const Cell> cells;
};

enum class AckMode : std::uint8_t { durable, applied };

// What a user asks: ops in order, all or none, one undoable step.
struct Edit {
  EditId id;
  AckMode ack = AckMode::durable;
  std::span<const Op> ops;
  std::span<const Condition> conditions;
};

}  // namespace terrazzo::map

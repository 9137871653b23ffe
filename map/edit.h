#pragma once

#include <cstdint>
#include <span>

#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/turn.h"
#include "map/world.h"

namespace terrazzo::map {

enum class OpKind : std::uint8_t {
  set,      // cells (row-major, rect.area() of them) are written to rect
  fill,     // every cell of rect becomes `cell`
  replace,  // every cell of rect that equals `from` becomes `cell`
  copy,     // rect gets the cells of source_of() as they were before this op, turned
  flood,    // the cells of rect that are joined to `source` by equal ones, side by side, become `cell`
};
// What an op writes follows from itself and from the cells of its rectangle. The others are asked for only: whoever
// orders edits makes plain ops of them (map/copied_cells.h, map/flood.h), which are what is logged and sent to viewers.
constexpr bool is_plain(OpKind kind) {
  return kind <= OpKind::replace;
}

// A view: `cells` points into the frame or arena that the edit was decoded into and lives as long as that.
struct Op {
  OpKind kind = OpKind::set;
  LayerId layer = 0;
  Rect rect;
  Cell cell;
  Cell from;
  std::span<const Cell> cells;
  CellPos source = {};       // copy: the corner of what is copied; flood: where it begins, in rect
  LayerId source_layer = 0;  // of copy
  Turn turn = {};            // of copy
};

// What a copy reads.
constexpr Rect source_of(const Op& copy) {
  const auto [width, height] = copy.turn.size_of(copy.rect.width(), copy.rect.height());
  return Rect::of_size(copy.source.x, copy.source.y, width, height);
}
// A copy of `source`, turned, to the place whose upper left corner is `to`.
constexpr Op copy_op(LayerId source_layer, const Rect& source, LayerId layer, CellPos to, Turn turn) {
  const auto [width, height] = turn.size_of(source.width(), source.height());
  Op op{OpKind::copy, layer, Rect::of_size(to.x, to.y, width, height), {}, {}, {}};
  op.source = {static_cast<std::int32_t>(source.x0), static_cast<std::int32_t>(source.y0)};
  op.source_layer = source_layer;
  op.turn = turn;
  return op;
}
constexpr Op flood_op(LayerId layer, CellPos from, Cell cell, const Rect& bounds) {
  Op op{OpKind::flood, layer, bounds, cell, {}, {}};
  op.source = from;
  return op;
}

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

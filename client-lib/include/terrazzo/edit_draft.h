#pragma once

#include <span>
#include <vector>

#include "map/edit.h"

namespace terrazzo::client {

// The ops and conditions of one edit, with their cells: what map::Edit only views. A value; any thread.
//
//   EditDraft draft;
//   draft.fill(layer, map::Rect::of_size(0, 0, 8, 8), grass).set(layer, {3, 4}, tree);
//   client.edit(draft);
class EditDraft {
 public:
  // Writes one cell.
  EditDraft& set(map::LayerId layer, map::CellPos position, map::Cell cell);
  // Writes rect.area() cells, row-major.
  EditDraft& set(map::LayerId layer, const map::Rect& rect, std::span<const map::Cell> cells);
  EditDraft& fill(map::LayerId layer, const map::Rect& rect, map::Cell cell);
  // Every cell of the rectangle that equals `from` becomes `to`.
  EditDraft& replace(map::LayerId layer, const map::Rect& rect, map::Cell from, map::Cell to);
  // Lays the cells of `source` down again at `to`, their upper left corner, flipped and turned; they may overlap. They
  // are taken as the ops before this one leave them, when the server comes to it: what others have painted there by
  // then is copied, too. Bounded by limits().derived_cells_per_edit_max.
  EditDraft& copy(map::LayerId source_layer, const map::Rect& source, map::LayerId layer, map::CellPos to,
                  map::Turn turn = {});
  // The cells that are joined to `from` by equal ones, side by side and inside `bounds`, become `cell`. The bounds'
  // cells count for limits().derived_cells_per_edit_max.
  EditDraft& flood(map::LayerId layer, map::CellPos from, map::Cell cell, const map::Rect& bounds);
  // What an op says, copied.
  EditDraft& add(const map::Op& op);

  // Conveniences, made of the ops above: one op for each run of cells in a row or column, whichever are fewer.
  // From one cell to another, both included (Bresenham), `thickness` cells across, at least 1.
  EditDraft& line(map::LayerId layer, map::CellPos from, map::CellPos to, map::Cell cell, int thickness = 1);
  // A pattern of `width` cells a row; where it is empty, nothing is written.
  EditDraft& stamp(map::LayerId layer, map::CellPos at, int width, std::span<const map::Cell> pattern);
  // The cells along the inside of a rectangle's edge.
  EditDraft& outline(map::LayerId layer, const map::Rect& rect, map::Cell cell, int thickness = 1);
  // The edge of the ellipse that touches the sides of the rectangle from inside, one cell wide.
  EditDraft& ellipse(map::LayerId layer, const map::Rect& rect, map::Cell cell);

  // The edit is rejected (condition_failed) unless every cell of the rectangle equals `cell` when its turn comes.
  EditDraft& require(map::LayerId layer, const map::Rect& rect, map::Cell cell);
  EditDraft& require(map::LayerId layer, const map::Rect& rect, std::span<const map::Cell> cells);

  bool empty() const { return ops_.empty(); }
  void clear();

  // Views into this draft, valid until it changes or goes.
  std::span<const map::Op> ops() const;
  std::span<const map::Condition> conditions() const;

 private:
  struct CellRange {
    std::size_t first = 0, count = 0;
  };
  CellRange append(std::span<const map::Cell> cells);

  // The spans inside ops_ and conditions_ are set when asked for: cells_ may move while the draft grows.
  mutable std::vector<map::Op> ops_;
  mutable std::vector<map::Condition> conditions_;
  std::vector<CellRange> op_cells_, condition_cells_;
  std::vector<map::Cell> cells_;
};

}  // namespace terrazzo::client

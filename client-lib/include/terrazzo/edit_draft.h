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

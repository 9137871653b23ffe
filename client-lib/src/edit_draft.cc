#include "terrazzo/edit_draft.h"

namespace terrazzo::client {

EditDraft::CellRange EditDraft::append(std::span<const map::Cell> cells) {
  const CellRange range{cells_.size(), cells.size()};
  cells_.insert(cells_.end(), cells.begin(), cells.end());
  return range;
}

EditDraft& EditDraft::set(map::LayerId layer, map::CellPos position, map::Cell cell) {
  return set(layer, map::Rect::of_size(position.x, position.y, 1, 1), std::span<const map::Cell>(&cell, 1));
}

EditDraft& EditDraft::set(map::LayerId layer, const map::Rect& rect, std::span<const map::Cell> cells) {
  ops_.push_back({.kind = map::OpKind::set, .layer = layer, .rect = rect, .cell = {}, .from = {}, .cells = {}});
  op_cells_.push_back(append(cells));
  return *this;
}

EditDraft& EditDraft::fill(map::LayerId layer, const map::Rect& rect, map::Cell cell) {
  ops_.push_back({.kind = map::OpKind::fill, .layer = layer, .rect = rect, .cell = cell, .from = {}, .cells = {}});
  op_cells_.push_back({});
  return *this;
}

EditDraft& EditDraft::replace(map::LayerId layer, const map::Rect& rect, map::Cell from, map::Cell to) {
  ops_.push_back({.kind = map::OpKind::replace, .layer = layer, .rect = rect, .cell = to, .from = from, .cells = {}});
  op_cells_.push_back({});
  return *this;
}

EditDraft& EditDraft::copy(map::LayerId source_layer, const map::Rect& source, map::LayerId layer, map::CellPos to,
                           map::Turn turn) {
  return add(map::copy_op(source_layer, source, layer, to, turn));
}

EditDraft& EditDraft::flood(map::LayerId layer, map::CellPos from, map::Cell cell, const map::Rect& bounds) {
  return add(map::flood_op(layer, from, cell, bounds));
}

EditDraft& EditDraft::add(const map::Op& op) {
  ops_.push_back(op);
  op_cells_.push_back(append(op.cells));
  return *this;
}

EditDraft& EditDraft::require(map::LayerId layer, const map::Rect& rect, map::Cell cell) {
  conditions_.push_back({.layer = layer, .rect = rect, .cell = cell, .cells = {}});
  condition_cells_.push_back({});
  return *this;
}

EditDraft& EditDraft::require(map::LayerId layer, const map::Rect& rect, std::span<const map::Cell> cells) {
  conditions_.push_back({.layer = layer, .rect = rect, .cell = {}, .cells = {}});
  condition_cells_.push_back(append(cells));
  return *this;
}

void EditDraft::clear() {
  ops_.clear();
  conditions_.clear();
  op_cells_.clear();
  condition_cells_.clear();
  cells_.clear();
}

std::span<const map::Op> EditDraft::ops() const {
  const std::span<const map::Cell> all = cells_;
  for (std::size_t i = 0; i < ops_.size(); ++i) ops_[i].cells = all.subspan(op_cells_[i].first, op_cells_[i].count);
  return ops_;
}

std::span<const map::Condition> EditDraft::conditions() const {
  const std::span<const map::Cell> all = cells_;
  for (std::size_t i = 0; i < conditions_.size(); ++i) {
    conditions_[i].cells = all.subspan(condition_cells_[i].first, condition_cells_[i].count);
  }
  return conditions_;
}

}  // namespace terrazzo::client

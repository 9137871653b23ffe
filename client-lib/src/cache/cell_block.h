#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "map/cell.h"
#include "map/coords.h"
#include "map/edit_apply.h"

namespace terrazzo::client {

// The 1024 cells of one chunk; four bytes instead of 4096 while all are the same, as most of a large map is.
class CellBlock {
 public:
  using Cells = std::array<map::Cell, map::kChunkCells>;

  map::Cell at(int index) const { return cells_ ? (*cells_)[static_cast<std::size_t>(index)] : fill_; }
  bool uniform() const { return cells_ == nullptr; }
  // Where it is not uniform.
  std::span<const map::Cell, map::kChunkCells> cells() const { return *cells_; }

  void fill(map::Cell cell) {
    cells_.reset();
    fill_ = cell;
  }
  void assign(std::span<const map::Cell, map::kChunkCells> cells) { std::ranges::copy(cells, writable().begin()); }
  void assign(const CellBlock& other) {
    if (other.uniform()) return fill(other.fill_);
    assign(std::span<const map::Cell, map::kChunkCells>(*other.cells_));
  }
  void copy_to(std::span<map::Cell, map::kChunkCells> out) const {
    if (cells_) {
      std::ranges::copy(*cells_, out.begin());
    } else {
      std::ranges::fill(out, fill_);
    }
  }
  std::span<map::Cell, map::kChunkCells> writable() {
    if (!cells_) {
      cells_ = std::make_unique<Cells>();
      cells_->fill(fill_);
    }
    return *cells_;
  }

  // The part of `op` that lies in `chunk`, which this block holds.
  void apply(const map::Op& op, map::ChunkPos chunk) {
    const bool whole = op.rect.contains(map::cells_of(chunk));
    if (op.kind == map::OpKind::fill && (whole || (uniform() && fill_ == op.cell))) {
      if (whole) fill(op.cell);
      return;
    }
    if (op.kind == map::OpKind::replace && uniform() && (whole || fill_ != op.from)) {
      if (fill_ == op.from) fill_ = op.cell;
      return;
    }
    map::apply_op(op, chunk, writable());
  }

  std::size_t bytes() const { return sizeof(CellBlock) + (cells_ ? sizeof(Cells) : 0); }

 private:
  map::Cell fill_;
  std::unique_ptr<Cells> cells_;
};

}  // namespace terrazzo::client

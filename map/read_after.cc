#include "map/read_after.h"

#include <algorithm>

#include "map/edit_apply.h"

namespace terrazzo::map {

void ReadAfter::note(const Rect& rect, std::size_t first) {
  if (first != ops_.size()) steps_.push_back({rect, first, ops_.size()});
}

ChunkCells ReadAfter::read(LayerId layer, ChunkPos chunk) {
  ChunkCells cells = before_(layer, chunk);
  if (!cells.known) return cells;
  const Rect area = cells_of(chunk);
  for (const Step& step : steps_) {
    if (!step.rect.intersects(area)) continue;
    for (std::size_t i = step.first; i < step.end; ++i) {
      if (ops_[i].layer != layer || !ops_[i].rect.intersects(area)) continue;
      if (cells.cells == nullptr) {
        changed_.fill(cells.fill);
      } else if (cells.cells != changed_.data()) {
        std::copy_n(cells.cells, changed_.size(), changed_.data());
      }
      cells.cells = changed_.data();
      apply_op(ops_[i], chunk, changed_);
    }
  }
  return cells;
}

}  // namespace terrazzo::map

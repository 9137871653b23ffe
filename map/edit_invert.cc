#include "map/edit_invert.h"

#include <algorithm>

#include "map/edit_apply.h"

namespace terrazzo::map {
namespace {

Op fill_op(LayerId layer, const Rect& rect, Cell cell) {
  return {OpKind::fill, layer, rect, cell, {}, {}};
}

// Joins `op` with the last one when both are fills of the same cell and make one rectangle: first along a row of
// chunks, then whole rows.
void append_joined(std::vector<Op>& out, const Op& op, std::size_t first) {
  out.push_back(op);
  while (out.size() >= first + 2) {
    Op& above = out[out.size() - 2];
    const Op& last = out.back();
    if (above.kind != OpKind::fill || last.kind != OpKind::fill || above.cell != last.cell) return;
    const bool beside = above.rect.y0 == last.rect.y0 && above.rect.y1 == last.rect.y1 && above.rect.x1 == last.rect.x0;
    const bool below = above.rect.x0 == last.rect.x0 && above.rect.x1 == last.rect.x1 && above.rect.y1 == last.rect.y0;
    if (!beside && !below) return;
    above.rect.x1 = last.rect.x1;
    above.rect.y1 = last.rect.y1;
    out.pop_back();
  }
}

Op restore_part(const Op& op, ChunkPos chunk, const Rect& part, const ChunkCells& old, Arena& arena) {
  if (old.cells == nullptr) return fill_op(op.layer, part, old.fill);
  const Op whole{OpKind::set, op.layer, cells_of(chunk), {}, {}, {old.cells, kChunkCells}};
  Op restored = clip(whole, part, arena);
  if (std::ranges::all_of(restored.cells, [&](Cell c) { return c == restored.cells.front(); }))
    return fill_op(op.layer, part, restored.cells.front());
  restored.cells = arena.copy(restored.cells);  // what clip did not copy still lies in the chunk
  return restored;
}

}  // namespace

std::vector<Op> invert_ops(std::span<const Op> ops, const ReadChunk& read, Arena& arena) {
  // Every op's inverse restores the state before the whole edit, so their order does not matter: where ops overlap, all
  // write the same cells.
  std::vector<Op> out;
  for (const Op& op : ops) {
    const std::size_t first = out.size();
    for_each_chunk_part(op.rect, [&](ChunkPos chunk, const Rect& part) {
      append_joined(out, restore_part(op, chunk, part, read(op.layer, chunk), arena), first);
    });
  }
  return out;
}

}  // namespace terrazzo::map

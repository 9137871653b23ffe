#include "server/shard/edit_undo.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/canary.h"
#include "server/shard/edit_changes.h"
#include "server/shard/store_apply.h"
#include "server/shard/swaps.h"

namespace terrazzo::shard {
namespace {

// The part of `rect` that is in none of `others`, as rectangles.
std::vector<map::Rect> outside_of(const map::Rect& rect, const std::vector<map::Rect>& others) {
  std::vector<map::Rect> left{rect};
  for (const map::Rect& other : others) {
    std::vector<map::Rect> next;
    for (const map::Rect& piece : left) {
      const map::Rect cut = piece.intersect(other);
      if (cut.empty()) {
        next.push_back(piece);
        continue;
      }
      for (const map::Rect& rest :
           {map::Rect{piece.x0, piece.y0, piece.x1, cut.y0}, map::Rect{piece.x0, cut.y1, piece.x1, piece.y1},
            map::Rect{piece.x0, cut.y0, cut.x0, cut.y1}, map::Rect{cut.x1, cut.y0, piece.x1, cut.y1}})
        if (!rest.empty()) next.push_back(rest);
    }
    left = std::move(next);
  }
  return left;
}

}  // namespace

Result<std::span<const Swap>> swaps_against(const LoggedEdit& edit, Arena& arena) {
  std::vector<Swap> swaps;
  const Status read = for_each_change(
      edit, [&](map::LayerId layer, map::ChunkPos chunk, const ChunkCells& before, const ChunkCells& after) {
        add_swaps(layer, chunk, after, before, arena, swaps);
      });
  if (!read) return read.error();
  return arena.copy(std::span<const Swap>(swaps));
}

Restore restore_against(const LoggedEdit& edit, Lsn lsn) {
  Restore restore;
  restore.from = storage::PinKind::undo_point;
  restore.id = lsn.value;
  restore.unless_changed = true;
  // Each cell once: looked at again, one that was just restored would no longer hold what the edit wrote.
  std::map<map::LayerId, std::vector<map::Rect>> taken;
  const auto add = [&](map::LayerId layer, const map::Rect& rect) {
    for (const map::Rect& piece : outside_of(rect, taken[layer])) {
      restore.areas.push_back({layer, piece});
      taken[layer].push_back(piece);
    }
  };
  if (edit.restore)
    for (const Restore::Area& area : edit.restore->areas) add(area.layer, area.rect);
  for (const map::Op& op : edit.edit.ops) add(op.layer, op.rect);
  return restore;
}

ResolvedSwaps resolve(const storage::Head& store, std::span<const Swap> swaps, Arena& arena) {
  ResolvedSwaps resolved;
  std::vector<map::Op> ops;
  for (const Swap& swap : swaps) {
    const std::span<map::Cell> cells = arena.allocate_array<map::Cell>(swap.rect.area());
    read_cells(store, swap.layer, swap.rect, cells);
    const std::uint64_t before = resolved.restored;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const map::Cell from = swap.from_cells.empty() ? swap.from : swap.from_cells[i];
      const map::Cell to = swap.to_cells.empty() ? swap.to : swap.to_cells[i];
      if (from == to) continue;  // not changed, only between cells that were
      const bool holds = cells[i] == from || canary::is(canary::Bug::foreign_value_undone);
      ++(holds ? resolved.restored : resolved.skipped);
      if (holds) cells[i] = to;
    }
    if (resolved.restored == before) continue;
    map::Op op;
    op.layer = swap.layer;
    op.rect = swap.rect;
    op.cells = cells;
    if (std::ranges::all_of(cells, [&](map::Cell cell) { return cell == cells[0]; })) {
      op.kind = map::OpKind::fill;
      op.cell = cells[0];
      op.cells = {};
    }
    ops.push_back(op);
  }
  resolved.ops = arena.copy(std::span<const map::Op>(ops));
  return resolved;
}

std::span<const map::Op> ops_around(std::span<const Swap> swaps, Arena& arena) {
  const std::span<map::Op> ops = arena.allocate_array<map::Op>(swaps.size());
  for (std::size_t i = 0; i < swaps.size(); ++i) {
    ops[i].layer = swaps[i].layer;
    ops[i].rect = swaps[i].rect;
  }
  return ops;
}

}  // namespace terrazzo::shard

#include "server/shard/edit_undo.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "map/edit_apply.h"
#include "server/shard/store_apply.h"
#include "server/shard/swaps.h"

namespace terrazzo::shard {
namespace {

using Cells = std::array<map::Cell, map::kChunkCells>;

// A chunk that the edit touched: its cells, as far as the pre-image knows them, before and after.
struct Canvas {
  Cells before{}, after{};
};
using Canvases = std::map<std::tuple<map::LayerId, std::int32_t, std::int32_t>, std::unique_ptr<Canvas>>;

void paint(Canvases& canvases, const map::Op& op, Cells Canvas::*side) {
  map::for_each_chunk_part(op.rect, [&](map::ChunkPos chunk, const map::Rect&) {
    auto& canvas = canvases[{op.layer, chunk.y, chunk.x}];
    if (!canvas) canvas = std::make_unique<Canvas>();
    map::apply_op(op, chunk, (*canvas).*side);
  });
}

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
  TZ_ASSERT(edit.pre_image_kind == PreImageKind::cells && !edit.restore);
  Arena scratch;
  const auto overwritten = decode_pre_image(edit.edit.ops, edit.pre_image, scratch);
  if (!overwritten) return overwritten.error();
  Canvases canvases;
  for (const map::Op& op : *overwritten) paint(canvases, op, &Canvas::before);
  for (auto& [at, canvas] : canvases) canvas->after = canvas->before;
  for (const map::Op& op : edit.edit.ops) paint(canvases, op, &Canvas::after);
  std::vector<Swap> swaps;
  for (const auto& [at, canvas] : canvases)
    add_swaps(std::get<0>(at), {std::get<2>(at), std::get<1>(at)}, canvas->after, canvas->before, arena, swaps);
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
      const bool holds = cells[i] == from;
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

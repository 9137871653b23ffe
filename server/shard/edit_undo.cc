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

// Rectangles of cells, in the chunk, that hold every changed one and not many others: one around all, or rows.
std::vector<map::Rect> rects_of_change(const Canvas& canvas) {
  constexpr std::int64_t kSize = map::kChunkSize;
  std::vector<map::Rect> rows;  // runs in rows, joined where the row above has the same
  std::int64_t changed = 0;
  map::Rect box{kSize, kSize, 0, 0};
  for (std::int64_t y = 0; y < kSize; ++y) {
    for (std::int64_t x = 0; x < kSize; ++x) {
      const auto differs = [&](std::int64_t at) {
        const auto i = static_cast<std::size_t>(y * kSize + at);
        return at < kSize && canvas.before[i] != canvas.after[i];
      };
      if (!differs(x)) continue;
      std::int64_t end = x + 1;
      while (differs(end)) ++end;
      changed += end - x;
      box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, end), y + 1};
      const auto above =
          std::ranges::find_if(rows, [&](const map::Rect& run) { return run.y1 == y && run.x0 == x && run.x1 == end; });
      if (above != rows.end()) {
        above->y1 = y + 1;
      } else {
        rows.push_back({x, y, end, y + 1});
      }
      x = end;
    }
  }
  // What a rectangle takes in the log besides its cells is as much as eight of these.
  const auto around_all = static_cast<std::int64_t>(box.empty() ? 0 : box.area());
  if (!rows.empty() && around_all <= 4 * changed && around_all - changed <= 8 * static_cast<std::int64_t>(rows.size()))
    return {box};
  return rows;
}

Swap swap_of(const Canvas& canvas, map::LayerId layer, map::ChunkPos chunk, const map::Rect& in_chunk, Arena& arena) {
  const map::Rect origin = map::cells_of(chunk);
  Swap swap;
  swap.layer = layer;
  swap.rect = {origin.x0 + in_chunk.x0, origin.y0 + in_chunk.y0, origin.x0 + in_chunk.x1, origin.y0 + in_chunk.y1};
  const std::span<map::Cell> from = arena.allocate_array<map::Cell>(swap.rect.area()),
                             to = arena.allocate_array<map::Cell>(swap.rect.area());
  std::size_t count = 0;
  for (std::int64_t y = in_chunk.y0; y < in_chunk.y1; ++y) {
    for (std::int64_t x = in_chunk.x0; x < in_chunk.x1; ++x, ++count) {
      const auto i = static_cast<std::size_t>(y * map::kChunkSize + x);
      from[count] = canvas.after[i];
      to[count] = canvas.before[i];
    }
  }
  const auto uniform = [](std::span<const map::Cell> cells) {
    return std::ranges::all_of(cells, [&](map::Cell cell) { return cell == cells[0]; });
  };
  if (uniform(from) && uniform(to)) {
    swap.from = from[0];
    swap.to = to[0];
  } else {
    swap.from_cells = from;
    swap.to_cells = to;
  }
  return swap;
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
    for (const map::Rect& rect : rects_of_change(*canvas))
      swaps.push_back(swap_of(*canvas, std::get<0>(at), {std::get<2>(at), std::get<1>(at)}, rect, arena));
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

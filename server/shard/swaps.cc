#include "server/shard/swaps.h"

#include <algorithm>

namespace terrazzo::shard {
namespace {

// Rectangles of cells, in the chunk, that hold every changed one and not many others: one around all, or rows.
std::vector<map::Rect> rects_of_change(const ChunkCells& from, const ChunkCells& to) {
  constexpr std::int64_t kSize = map::kChunkSize;
  std::vector<map::Rect> rows;  // runs in rows, joined where the row above has the same
  std::int64_t changed = 0;
  map::Rect box{kSize, kSize, 0, 0};
  for (std::int64_t y = 0; y < kSize; ++y) {
    for (std::int64_t x = 0; x < kSize; ++x) {
      const auto differs = [&](std::int64_t at) {
        const auto i = static_cast<std::size_t>(y * kSize + at);
        return at < kSize && from[i] != to[i];
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

Swap swap_of(map::LayerId layer, map::ChunkPos chunk, const map::Rect& in_chunk, const ChunkCells& from,
             const ChunkCells& to, Arena& arena) {
  const map::Rect origin = map::cells_of(chunk);
  Swap swap;
  swap.layer = layer;
  swap.rect = {origin.x0 + in_chunk.x0, origin.y0 + in_chunk.y0, origin.x0 + in_chunk.x1, origin.y0 + in_chunk.y1};
  const auto each = [&](auto&& visit) {
    for (std::int64_t y = in_chunk.y0; y < in_chunk.y1; ++y)
      for (std::int64_t x = in_chunk.x0; x < in_chunk.x1; ++x) visit(static_cast<std::size_t>(y * map::kChunkSize + x));
  };
  const auto first = static_cast<std::size_t>(in_chunk.y0 * map::kChunkSize + in_chunk.x0);
  bool uniform = true;
  each([&](std::size_t i) { uniform = uniform && from[i] == from[first] && to[i] == to[first]; });
  swap.from = from[first];
  swap.to = to[first];
  if (uniform) return swap;
  const std::span<map::Cell> from_cells = arena.allocate_array<map::Cell>(swap.rect.area()),
                             to_cells = arena.allocate_array<map::Cell>(swap.rect.area());
  std::size_t count = 0;
  each([&](std::size_t i) {
    from_cells[count] = from[i];
    to_cells[count++] = to[i];
  });
  swap.from_cells = from_cells;
  swap.to_cells = to_cells;
  return swap;
}

// Chunks that are uniform come one after another, row by row: neighbours become one swap.
bool joined(Swap& last, const Swap& next) {
  if (!last.from_cells.empty() || !next.from_cells.empty() || last.layer != next.layer || last.from != next.from ||
      last.to != next.to || last.rect.y0 != next.rect.y0 || last.rect.y1 != next.rect.y1 ||
      last.rect.x1 != next.rect.x0)
    return false;
  last.rect.x1 = next.rect.x1;
  return true;
}

}  // namespace

void add_swaps(map::LayerId layer, map::ChunkPos chunk, const ChunkCells& from, const ChunkCells& to, Arena& arena,
               std::vector<Swap>& swaps) {
  for (const map::Rect& rect : rects_of_change(from, to)) {
    const Swap swap = swap_of(layer, chunk, rect, from, to, arena);
    if (swaps.empty() || !joined(swaps.back(), swap)) swaps.push_back(swap);
  }
}

std::size_t bytes_of(std::span<const Swap> swaps) {
  constexpr std::size_t kHead = 36;  // where, and the values of one that is the same all over
  std::size_t bytes = 0;
  for (const Swap& swap : swaps) bytes += kHead + swap.from_cells.size_bytes() * 2;
  return bytes;
}

}  // namespace terrazzo::shard

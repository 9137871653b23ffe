#include "server/shard/derived_ops.h"

#include <array>

#include "map/copied_cells.h"
#include "map/flood.h"
#include "map/read_after.h"
#include "server/shard/cells.h"
#include "server/shard/swaps.h"

namespace terrazzo::shard {
namespace {

constexpr std::int64_t kBlock = 256;  // cells, of a side of an op: what is the same all over them becomes a fill
static_assert(kBlock % map::kChunkSize == 0);

// What a swap does where everything still holds what it is to replace.
map::Op op_of(const Swap& swap) {
  map::Op op{
      swap.to_cells.empty() ? map::OpKind::fill : map::OpKind::set, swap.layer, swap.rect, {}, {}, swap.to_cells};
  if (swap.to_cells.empty()) op.cell = swap.to;
  return op;
}

struct OneList final : FloodParts {
  explicit OneList(Arena& a) : arena(a) {}
  Arena& arena_of(map::ChunkPos) override { return arena; }
  std::vector<Swap>& out_of(map::ChunkPos) override { return swaps; }
  Arena& arena;
  std::vector<Swap> swaps;
};

}  // namespace

void add_copied(const map::Op& copy, const map::Rect& area, const map::ReadChunk& read, Arena& arena,
                std::vector<map::Op>& out) {
  std::vector<map::Cell> scratch;
  for (std::int64_t y = area.y0 & -kBlock; y < area.y1; y += kBlock)
    for (std::int64_t x = area.x0 & -kBlock; x < area.x1; x += kBlock) {
      const map::Rect part = area.intersect(map::Rect::of_size(x, y, kBlock, kBlock));
      const std::span<map::Cell> cells = arena.allocate_array<map::Cell>(part.area());
      map::copied_cells(copy, part, read, scratch, cells);
      map::Op op{map::OpKind::set, copy.layer, part, {}, {}, cells};
      if (std::ranges::all_of(cells, [&](map::Cell cell) { return cell == cells[0]; }))
        op = {map::OpKind::fill, copy.layer, part, cells[0], {}, {}};
      out.push_back(op);
    }
}

void add_flooded(const map::Op& flood, const map::ReadChunk& read, FloodParts& parts) {
  for (const map::FloodedChunk& part : map::flooded(flood, read)) {
    ChunkCells from, to;
    const map::ChunkCells there = read(flood.layer, part.chunk);
    if (there.cells == nullptr) {
      from.fill(there.fill);
    } else {
      std::copy_n(there.cells, from.size(), from.data());
    }
    for (std::size_t i = 0; i < to.size(); ++i) {
      const bool changed = (part.cells[i / map::kChunkSize] >> (i % map::kChunkSize) & 1u) != 0;
      to[i] = changed ? flood.cell : from[i];
    }
    add_swaps(flood.layer, part.chunk, from, to, parts.arena_of(part.chunk), parts.out_of(part.chunk));
  }
}

std::span<const map::Op> plain_ops(const storage::Head& store, std::span<const map::Op> ops, Arena& arena) {
  std::vector<map::Op> out;
  const map::ReadChunk before = [&](map::LayerId layer, map::ChunkPos chunk) {
    const storage::ChunkRead there = store.read(layer, map::index_in_shard(chunk));
    return map::ChunkCells{there.cells == nullptr ? nullptr : cells_of_page(there.cells).data(), map::Cell{there.fill}};
  };
  map::ReadAfter after(before, out);
  const map::ReadChunk read = [&](map::LayerId layer, map::ChunkPos chunk) { return after.read(layer, chunk); };
  for (const map::Op& op : ops) {
    const std::size_t first = out.size();
    if (op.kind == map::OpKind::copy) {
      std::vector<map::Op> copied;  // not in `out` yet: what it reads is from before itself
      add_copied(op, op.rect, read, arena, copied);
      out.insert(out.end(), copied.begin(), copied.end());
    } else if (op.kind == map::OpKind::flood) {
      OneList flooded(arena);
      add_flooded(op, read, flooded);
      for (const Swap& swap : flooded.swaps) out.push_back(op_of(swap));
    } else {
      out.push_back(op);
    }
    after.note(op.rect, first);
  }
  return arena.copy(std::span<const map::Op>(out));
}

}  // namespace terrazzo::shard

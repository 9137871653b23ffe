#include "server/shard/store_restore.h"

#include <algorithm>

#include "base/canary.h"
#include "server/shard/cells.h"

namespace terrazzo::shard {
namespace {

// Chunks that lie in the area whole, in the world's chunk coordinates; may be empty.
map::Rect inner_chunks(const map::Rect& cells) {
  return {(cells.x0 + map::kChunkSize - 1) >> map::kChunkShift, (cells.y0 + map::kChunkSize - 1) >> map::kChunkShift,
          cells.x1 >> map::kChunkShift, cells.y1 >> map::kChunkShift};
}

// Calls `visit` for the chunks at the border of the area, with the part that lies inside.
template <class Visit>
void for_each_border_part(const map::Rect& cells, Visit&& visit) {
  const map::Rect inner = inner_chunks(cells), chunks = map::chunks_of(cells);
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y) {
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x) {
      if (!inner.empty() && y >= inner.y0 && y < inner.y1 && x >= inner.x0 && x < inner.x1) {
        x = inner.x1 - 1;  // over all of them
        continue;
      }
      const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
      visit(chunk, cells.intersect(map::cells_of(chunk)));
    }
  }
}

map::Cell cell_at(const storage::ChunkRead& read, std::size_t index) {
  return map::Cell{read.cells == nullptr ? read.fill : read.cells[index]};
}

void restore_part(const storage::Head& store, const storage::PinInfo& pin, map::LayerId layer, map::ChunkPos chunk,
                  const map::Rect& part) {
  const std::uint16_t index = map::index_in_shard(chunk);
  const map::Rect whole = map::cells_of(chunk);
  std::array<map::Cell, map::kChunkCells> wanted;
  const storage::ChunkRead before = store.read(pin, layer, index), now = store.read(layer, index);
  bool differs = false;
  const auto each = [&](auto&& visit) {
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x)
        visit(static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (x - whole.x0)));
  };
  each([&](std::size_t at) {
    wanted[at] = cell_at(before, at);
    differs = differs || wanted[at] != cell_at(now, at);
  });
  if (!differs) return;
  const auto cells = cells_of_page(store.write(layer, index));
  each([&](std::size_t at) { cells[at] = wanted[at]; });
}

}  // namespace

std::uint32_t pages_worst(const Restore& restore) {
  std::uint64_t pages = 1;  // the layer directory
  for (const Restore::Area& area : restore.areas) {
    const map::Rect chunks = map::chunks_of(area.rect), inner = inner_chunks(area.rect);
    pages +=
        map::Rect{chunks.x0 >> 4, chunks.y0 >> 4, ((chunks.x1 - 1) >> 4) + 1, ((chunks.y1 - 1) >> 4) + 1}.area() + 1;
    pages += chunks.area() - (inner.empty() ? 0 : inner.area());
  }
  return static_cast<std::uint32_t>(pages);
}

void apply_restore(const storage::Head& store, const storage::PinInfo& pin, const Restore& restore) {
  // What is written comes first: afterwards pages may be shared.
  for (const Restore::Area& area : restore.areas) {
    for_each_border_part(area.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
      restore_part(store, pin, area.layer, chunk, part);
    });
  }
  for (const Restore::Area& area : restore.areas) {
    const map::Rect inner = inner_chunks(area.rect);
    if (inner.empty()) continue;
    const auto in_shard = [](std::int64_t chunk) { return static_cast<int>(chunk & (map::kShardChunks - 1)); };
    const int x = in_shard(inner.x0), y = in_shard(inner.y0);
    const std::int64_t width = canary::is(canary::Bug::restored_in_part) ? inner.width() / 2 : inner.width();
    store.restore(pin, area.layer, {x, y, x + static_cast<int>(width), y + static_cast<int>(inner.height())});
  }
}

void for_each_restored(const storage::Head& store, Lsn lsn, const Restore::Area& area,
                       const std::function<bool(const map::Rect& chunks)>& wanted,
                       const std::function<void(const map::Op&)>& visit) {
  constexpr std::int64_t kRegion = 16;
  const map::Rect chunks = map::chunks_of(area.rect);
  for (std::int64_t ry = chunks.y0 & -kRegion; ry < chunks.y1; ry += kRegion) {
    for (std::int64_t rx = chunks.x0 & -kRegion; rx < chunks.x1; rx += kRegion) {
      const map::Rect region = chunks.intersect(map::Rect::of_size(rx, ry, kRegion, kRegion));
      if (!wanted(region)) continue;
      for (std::int64_t y = region.y0; y < region.y1; ++y) {
        for (std::int64_t x = region.x0; x < region.x1; ++x) {
          const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
          const storage::ChunkRead read = store.read(area.layer, map::index_in_shard(chunk));
          if (read.revision != lsn || !wanted(map::Rect::of_size(x, y, 1, 1))) continue;
          map::Op op;
          op.layer = area.layer;
          op.rect = map::cells_of(chunk);
          op.kind = read.cells == nullptr ? map::OpKind::fill : map::OpKind::set;
          op.cell = map::Cell{read.fill};
          if (read.cells != nullptr) op.cells = cells_of_page(read.cells);
          visit(op);
        }
      }
    }
  }
}

}  // namespace terrazzo::shard

#include "server/shard/store_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "map/edit_apply.h"
#include "server/shard/cells.h"

namespace terrazzo::shard {
namespace {

constexpr std::int64_t kRegionCells = 16 * map::kChunkSize;  // a region: 16×16 chunks, one entry of the store

bool covers(const map::Rect& part) {
  return part.width() == map::kChunkSize && part.height() == map::kChunkSize;
}

void write_part(const storage::Head& store, const map::Op& op, map::ChunkPos chunk) {
  map::apply_op(op, chunk, cells_of_page(store.write(op.layer, map::index_in_shard(chunk))));
}

void fill_chunks(const storage::Head& store, const map::Op& op, const map::Rect& area) {
  map::for_each_chunk_part(area, [&](map::ChunkPos chunk, const map::Rect& part) {
    if (covers(part)) {
      store.fill_chunk(op.layer, map::index_in_shard(chunk), op.cell.bits);
    } else {
      write_part(store, op, chunk);
    }
  });
}

void apply_fill(const storage::Head& store, const map::Op& op) {
  constexpr std::int64_t shard_cells = std::int64_t{map::kShardChunks} * map::kChunkSize;
  if (op.rect.width() == shard_cells && op.rect.height() == shard_cells)
    return store.fill_layer(op.layer, op.cell.bits);
  // Cell positions are floored to regions; the rectangle lies in one shard, so 4 bits tell the region.
  for (std::int64_t y = op.rect.y0 & -kRegionCells; y < op.rect.y1; y += kRegionCells)
    for (std::int64_t x = op.rect.x0 & -kRegionCells; x < op.rect.x1; x += kRegionCells) {
      const map::Rect region = map::Rect::of_size(x, y, kRegionCells, kRegionCells);
      const map::Rect part = op.rect.intersect(region);
      if (part == region) {
        const auto column = static_cast<unsigned>(x / kRegionCells) & 15u,
                   row = static_cast<unsigned>(y / kRegionCells) & 15u;
        store.fill_region(op.layer, static_cast<std::uint8_t>(row * 16 + column), op.cell.bits);
      } else {
        fill_chunks(store, op, part);
      }
    }
}

void apply_set(const storage::Head& store, const map::Op& op) {
  map::for_each_chunk_part(op.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
    if (!covers(part)) return write_part(store, op, chunk);
    std::array<map::Cell, map::kChunkCells> cells;
    map::apply_op(op, chunk, cells);
    if (std::ranges::all_of(cells, [&](map::Cell c) { return c == cells[0]; }))
      return store.fill_chunk(op.layer, map::index_in_shard(chunk), cells[0].bits);
    std::ranges::copy(cells, cells_of_page(store.write(op.layer, map::index_in_shard(chunk))).begin());
  });
}

// Whether any cell of the part equals `from`; a chunk without one keeps its revision.
bool has_cell(const map::Op& op, map::ChunkPos chunk, std::span<const map::Cell, map::kChunkCells> cells,
              const map::Rect& part) {
  if (covers(part)) return std::ranges::find(cells, op.from) != cells.end();
  const map::Rect whole = map::cells_of(chunk);
  for (std::int64_t y = part.y0; y < part.y1; ++y) {
    const auto row = cells.subspan(static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + part.x0 - whole.x0),
                                   static_cast<std::size_t>(part.width()));
    if (std::ranges::find(row, op.from) != row.end()) return true;
  }
  return false;
}

void apply_replace(const storage::Head& store, const map::Op& op) {
  if (op.from == op.cell) return;
  map::for_each_chunk_part(op.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
    const storage::ChunkRead read = store.read(op.layer, map::index_in_shard(chunk));
    if (read.cells == nullptr) {
      if (read.fill != op.from.bits) return;
      if (covers(part)) return store.fill_chunk(op.layer, map::index_in_shard(chunk), op.cell.bits);
    } else if (!has_cell(op, chunk, cells_of_page(read.cells), part)) {
      return;
    }
    write_part(store, op, chunk);
  });
}

}  // namespace

std::uint32_t pages_worst(const storage::Head& store, std::span<const map::Op> ops) {
  std::uint64_t pages = 1;  // the layer directory
  for (const map::Op& op : ops) {
    // A leaf node for each region touched, and the layer's region node.
    const map::Rect chunks = map::chunks_of(op.rect);
    pages +=
        map::Rect{chunks.x0 >> 4, chunks.y0 >> 4, ((chunks.x1 - 1) >> 4) + 1, ((chunks.y1 - 1) >> 4) + 1}.area() + 1;
    const std::uint64_t touched = chunks.area();
    if (op.kind == map::OpKind::set || !map::is_plain(op.kind)) {
      pages += touched;
    } else if (op.kind == map::OpKind::fill) {
      // Whole chunks become entries; only the border needs pages.
      const map::Rect inner{(op.rect.x0 + map::kChunkSize - 1) >> map::kChunkShift,
                            (op.rect.y0 + map::kChunkSize - 1) >> map::kChunkShift, op.rect.x1 >> map::kChunkShift,
                            op.rect.y1 >> map::kChunkShift};
      pages += touched - (inner.empty() ? 0 : inner.area());
    } else {
      // One for each chunk with a page and for each cut one: uniform chunks inside become other uniform ones.
      map::for_each_chunk_part(op.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
        pages += !covers(part) || store.read(op.layer, map::index_in_shard(chunk)).cells != nullptr ? 1u : 0u;
      });
    }
  }
  return static_cast<std::uint32_t>(pages);
}

void apply_ops(const storage::Head& store, std::span<const map::Op> ops) {
  for (const map::Op& op : ops) {
    switch (op.kind) {
      case map::OpKind::set:
        apply_set(store, op);
        break;
      case map::OpKind::fill:
        apply_fill(store, op);
        break;
      case map::OpKind::replace:
        apply_replace(store, op);
        break;
      case map::OpKind::copy:
      case map::OpKind::flood:
        TZ_ASSERT(false);  // derived_ops.h comes first
    }
  }
}

void read_cells(const storage::Head& store, map::LayerId layer, const map::Rect& rect, std::span<map::Cell> cells) {
  const auto width = static_cast<std::size_t>(rect.width());
  map::for_each_chunk_part(rect, [&](map::ChunkPos chunk, const map::Rect& part) {
    const storage::ChunkRead read = store.read(layer, map::index_in_shard(chunk));
    const map::Rect whole = map::cells_of(chunk);
    const auto count = static_cast<std::size_t>(part.width());
    for (std::int64_t y = part.y0; y < part.y1; ++y) {
      map::Cell* const to =
          cells.data() + static_cast<std::size_t>(y - rect.y0) * width + static_cast<std::size_t>(part.x0 - rect.x0);
      if (read.cells == nullptr) {
        std::fill_n(to, count, map::Cell{read.fill});
      } else {
        const auto at = static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (part.x0 - whole.x0));
        std::memcpy(to, cells_of_page(read.cells).data() + at, count * sizeof(map::Cell));
      }
    }
  });
}

Status check_conditions(const storage::Head& store, std::span<const map::Condition> conditions) {
  if (conditions.empty()) return {};  // before the array: cells begin as 0, and that is a seventh of a small edit
  std::array<map::Cell, map::kChunkCells> uniform;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const map::Condition& condition = conditions[i];
    bool holds = true;
    map::for_each_chunk_part(condition.rect, [&](map::ChunkPos chunk, const map::Rect&) {
      if (!holds) return;
      const storage::ChunkRead read = store.read(condition.layer, map::index_in_shard(chunk));
      if (read.cells == nullptr) {
        uniform.fill(map::Cell{read.fill});
        holds = map::condition_holds(condition, chunk, uniform);
      } else {
        holds = map::condition_holds(condition, chunk, cells_of_page(read.cells));
      }
    });
    if (!holds) {
      return Error{
          ErrorCode::condition_failed,
          fmt::format("condition {}: cells of layer {} in [{},{},{},{}] are not as expected any more; read them "
                      "again and decide anew",
                      i, condition.layer, condition.rect.x0, condition.rect.y0, condition.rect.width(),
                      condition.rect.height())};
    }
  }
  return {};
}

}  // namespace terrazzo::shard

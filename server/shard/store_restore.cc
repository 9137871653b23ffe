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

// Cells of the part that hold something else than in `before` become that; with `written`, only those that it says
// were changed and that still hold what it has.
void restore_part(const storage::Head& store, const RestoreFrom& from, bool unless_changed,
                  const RestorePlan::Part& part, RestoreCount& count) {
  const std::uint16_t index = map::index_in_shard(part.chunk);
  const map::Rect whole = map::cells_of(part.chunk);
  std::array<map::Cell, map::kChunkCells> wanted;
  const storage::ChunkRead before = store.read(from.before, part.layer, index), now = store.read(part.layer, index);
  const storage::ChunkRead written = unless_changed ? store.read(from.written, part.layer, index) : now;
  bool differs = false;
  const auto each = [&](auto&& visit) {
    for (std::int64_t y = part.cells.y0; y < part.cells.y1; ++y)
      for (std::int64_t x = part.cells.x0; x < part.cells.x1; ++x)
        visit(static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (x - whole.x0)));
  };
  each([&](std::size_t at) {
    const map::Cell old = cell_at(before, at), present = cell_at(now, at), own = cell_at(written, at);
    const bool changed = own != old, holds = present == own;
    wanted[at] = changed && holds ? old : present;
    if (changed) ++(holds ? count.restored : count.skipped);
    differs = differs || wanted[at] != present;
  });
  if (!differs) return;
  const auto cells = cells_of_page(store.write(part.layer, index));
  each([&](std::size_t at) { cells[at] = wanted[at]; });
}

// Chunks of the area that the edit wrote and others have written to since, region by region; what is left shares.
class Planner {
 public:
  Planner(const storage::Head& store, const RestoreFrom& from, std::uint64_t edit, RestorePlan& plan)
      : store_(store), from_(from), edit_(edit), plan_(plan) {}

  void plan(const Restore::Area& area, const map::Rect& inner) {
    std::vector<RestorePlan::Shared> clean;
    bool all_clean = true;
    for (std::int64_t y = inner.y0 & -kRegion; y < inner.y1; y += kRegion) {
      for (std::int64_t x = inner.x0 & -kRegion; x < inner.x1; x += kRegion) {
        const map::Rect region = inner.intersect(map::Rect::of_size(x, y, kRegion, kRegion));
        if (look(area.layer, region)) {
          clean.push_back({area.layer, region});
        } else {
          all_clean = false;
          clean.insert(clean.end(), alone_.begin(), alone_.end());
        }
      }
    }
    if (all_clean) clean.assign(1, {area.layer, inner});
    plan_.shared.insert(plan_.shared.end(), clean.begin(), clean.end());
  }

 private:
  static constexpr std::int64_t kRegion = 16;

  // Whether nobody has written since to what the edit wrote there; otherwise the chunks of which that is true are in
  // alone_.
  bool look(map::LayerId layer, const map::Rect& region) {
    alone_.clear();
    bool clean = true;
    for (std::int64_t y = region.y0; y < region.y1; ++y) {
      for (std::int64_t x = region.x0; x < region.x1; ++x) {
        const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
        const std::uint16_t index = map::index_in_shard(chunk);
        const std::uint64_t revision = store_.read(layer, index).revision.value;
        if (revision < edit_) continue;  // nor did the edit
        if (revision == edit_) {
          plan_.shared_cells += map::kChunkCells;
          alone_.push_back({layer, map::Rect::of_size(x, y, 1, 1)});
          continue;
        }
        clean = false;
        if (store_.read(from_.written, layer, index).revision.value == edit_)
          plan_.parts.push_back({layer, chunk, map::cells_of(chunk)});
      }
    }
    return clean;
  }

  const storage::Head& store_;
  const RestoreFrom& from_;
  const std::uint64_t edit_;
  RestorePlan& plan_;
  std::vector<RestorePlan::Shared> alone_;
};

}  // namespace

RestorePlan plan_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore) {
  RestorePlan plan;
  for (const Restore::Area& area : restore.areas) {
    for_each_border_part(area.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
      plan.parts.push_back({area.layer, chunk, part});
    });
    const map::Rect inner = inner_chunks(area.rect);
    if (inner.empty()) continue;
    if (restore.unless_changed) {
      Planner(store, from, restore.id, plan).plan(area, inner);
    } else {
      plan.shared.push_back({area.layer, inner});
    }
  }
  return plan;
}

std::uint32_t pages_worst(const Restore& restore, const RestorePlan& plan) {
  std::uint64_t pages = 1;  // the layer directory
  for (const Restore::Area& area : restore.areas) {
    const map::Rect chunks = map::chunks_of(area.rect);
    pages +=
        map::Rect{chunks.x0 >> 4, chunks.y0 >> 4, ((chunks.x1 - 1) >> 4) + 1, ((chunks.y1 - 1) >> 4) + 1}.area() + 1;
  }
  return static_cast<std::uint32_t>(pages + plan.parts.size());
}

RestoreCount apply_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore,
                           const RestorePlan& plan) {
  RestoreCount count;
  // What is written comes first: afterwards pages may be shared.
  for (const RestorePlan::Part& part : plan.parts) restore_part(store, from, restore.unless_changed, part, count);
  for (const RestorePlan::Shared& shared : plan.shared) {
    const auto in_shard = [](std::int64_t chunk) { return static_cast<int>(chunk & (map::kShardChunks - 1)); };
    const int x = in_shard(shared.chunks.x0), y = in_shard(shared.chunks.y0);
    const std::int64_t width =
        canary::is(canary::Bug::restored_in_part) ? shared.chunks.width() / 2 : shared.chunks.width();
    store.restore(from.before, shared.layer,
                  {x, y, x + static_cast<int>(width), y + static_cast<int>(shared.chunks.height())});
  }
  count.restored += plan.shared_cells;
  return count;
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

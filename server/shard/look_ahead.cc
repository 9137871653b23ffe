#include "server/shard/look_ahead.h"

#include <unordered_map>

#include "server/shard/derived_ops.h"
#include "server/shard/store_apply.h"
#include "server/shard/store_restore.h"
#include "server/shard/undo_points.h"

namespace terrazzo::shard {
namespace {

storage::ChunkRect in_shard(const map::Rect& chunks) {
  constexpr std::int64_t kMask = map::kShardChunks - 1;
  const int x = static_cast<int>(chunks.x0 & kMask), y = static_cast<int>(chunks.y0 & kMask);
  return {x, y, x + static_cast<int>(chunks.width()), y + static_cast<int>(chunks.height())};
}

storage::Access access_to(map::LayerId layer, const map::Rect& cells) {
  return {layer, in_shard(map::chunks_of(cells)), storage::Access::Depth::cells, {}};
}

// What becomes one value, or another tree's, touches cells only where the area ends inside a chunk, and leaf nodes only
// where it ends inside a region of 16×16 chunks.
template <class Look>
void look_border(map::LayerId layer, const map::Rect& cells, Look&& look) {
  using Depth = storage::Access::Depth;
  constexpr std::int64_t kRegionCells = 16 * map::kChunkSize;
  const map::Rect chunks = map::chunks_of(cells);
  look(storage::Access{layer, {0, 0, 0, 0}, Depth::nodes, {}});
  const auto side = [&](std::int64_t edge, const map::Rect& along) {
    const Depth depth = edge % map::kChunkSize != 0 ? Depth::cells : Depth::nodes;
    if (edge % kRegionCells != 0) look(storage::Access{layer, in_shard(along), depth, {}});
  };
  side(cells.y0, {chunks.x0, chunks.y0, chunks.x1, chunks.y0 + 1});
  side(cells.y1, {chunks.x0, chunks.y1 - 1, chunks.x1, chunks.y1});
  side(cells.x0, {chunks.x0, chunks.y0, chunks.x0 + 1, chunks.y1});
  side(cells.x1, {chunks.x1 - 1, chunks.y0, chunks.x1, chunks.y1});
}

}  // namespace

void look_edit(const storage::Head& store, const map::Edit& edit, storage::Missing& missing) {
  for (const map::Condition& condition : edit.conditions)
    store.look_read(access_to(condition.layer, condition.rect), missing);
  // What it overwrites goes into the log, cell by cell, unless it is so much that the state before is pinned.
  // What is derived may be less than it could be.
  const bool pinned = needs_undo_point(edit.ops) && !has_derived(edit.ops);
  for (const map::Op& op : edit.ops) {
    if (op.kind == map::OpKind::copy) store.look_read(access_to(op.source_layer, map::source_of(op)), missing);
    if (pinned && op.kind == map::OpKind::fill) {
      look_border(op.layer, op.rect, [&](const storage::Access& access) { store.look_write(access, missing); });
    } else {
      store.look_write(access_to(op.layer, op.rect), missing);
    }
  }
  // How many pages it needs depends on cells that must be there first.
  if (missing.nothing()) store.look_fresh(pages_worst(store, edit.ops), missing);
}

void look_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore,
                  const std::function<bool(const map::Rect& chunks)>& watched, storage::Missing& missing) {
  for (const Restore::Area& area : restore.areas) {
    const auto look_both = [&](const storage::Access& access) {
      store.look_write(access, missing);
      store.look_read(from.before, access, missing);
      if (restore.unless_changed) store.look_read(from.written, access, missing);
    };
    // Leaves are compared entry by entry.
    storage::Access nodes = access_to(area.layer, area.rect);
    nodes.depth = storage::Access::Depth::nodes;
    look_both(nodes);
    look_border(area.layer, area.rect, look_both);
    const map::Rect chunks = map::chunks_of(area.rect);
    if (!watched(chunks)) continue;
    storage::Access shown = access_to(area.layer, area.rect);
    const std::int64_t x0 = chunks.x0 & -map::kShardChunks, y0 = chunks.y0 & -map::kShardChunks;
    shown.wanted = [&](std::uint16_t chunk, Lsn) {
      return watched(map::Rect::of_size(x0 + (chunk & 255), y0 + (chunk >> 8), 1, 1));
    };
    store.look_read(from.before, shown, missing);
    store.look_read(shown, missing);
  }
  // Which chunks are taken cell by cell is said by nodes that must be there first.
  if (!missing.nothing()) return;
  const RestorePlan plan = plan_restore(store, from, restore);
  for (const RestorePlan::Part& part : plan.parts) {
    const storage::Access access = access_to(part.layer, part.cells);
    store.look_write(access, missing);
    store.look_read(from.before, access, missing);
    if (restore.unless_changed) store.look_read(from.written, access, missing);
  }
  if (missing.nothing()) store.look_fresh(pages_worst(restore, plan), missing);
}

void look_states(const storage::Head& store, const SubscribeRequest& request, const KnownRules& rules,
                 storage::Missing& missing) {
  std::unordered_map<std::uint32_t, Lsn> known;  // by layer and chunk
  for (const proto::KnownChunk& k : request.known)
    if (rules.believable(request.incarnation, k.revision))
      known[static_cast<std::uint32_t>(k.layer) << 16 | map::index_in_shard(k.chunk)] = k.revision;
  for (const map::LayerId layer : request.layers) {
    storage::Access access{layer, in_shard(request.chunks), storage::Access::Depth::cells, {}};
    if (!known.empty())
      access.wanted = [&known, layer](std::uint16_t chunk, Lsn revision) {
        const auto found = known.find(static_cast<std::uint32_t>(layer) << 16 | chunk);
        return found == known.end() || found->second != revision;
      };
    store.look_read(access, missing);
  }
}

void look_cells(const storage::Head& store, const CellsRequest& request, storage::Missing& missing) {
  store.look_read(access_to(request.layer, request.rect), missing);
}

void look_changed(const storage::Head& store, const RefreshRequest& request, storage::Missing& missing) {
  for (const RefreshRequest::Area& area : request.areas)
    for (const map::LayerId layer : area.layers)
      store.look_read({layer, in_shard(area.chunks), storage::Access::Depth::cells,
                       [&](std::uint16_t, Lsn revision) { return revision >= request.since; }},
                      missing);
}

}  // namespace terrazzo::shard

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "map/edit.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

// Going back to a pinned state, area by area: whole chunks share their pages with it again, chunks in part are copied.
namespace terrazzo::shard {

// The states a restore compares; copies of the store's own pins, or empty ones.
struct RestoreFrom {
  storage::PinInfo before;
  storage::PinInfo written;  // with unless_changed: what the edit wrote that is taken back
};
// How it is carried out: chunks that are looked at cell by cell, and those that share their pages again. Made on the
// state before the restore, from nodes alone.
struct RestorePlan {
  struct Part {
    map::LayerId layer = 0;
    map::ChunkPos chunk;
    map::Rect cells;
  };
  struct Shared {
    map::LayerId layer = 0;
    map::Rect chunks;  // in the world's chunk coordinates
  };
  std::vector<Part> parts;
  std::vector<Shared> shared;
  std::uint64_t shared_cells = 0;  // of chunks that the edit wrote, with unless_changed
};
RestorePlan plan_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore);

struct RestoreCount {
  std::uint64_t restored = 0, skipped = 0;  // cells, with unless_changed; chunks that share pages again count whole
};
// Cell and node pages it may need at most.
std::uint32_t pages_worst(const Restore& restore, const RestorePlan& plan);
// The store has begun the edit; cannot fail.
RestoreCount apply_restore(const storage::Head& store, const RestoreFrom& from, const Restore& restore,
                           const RestorePlan& plan);
// The chunks of one layer that edit `lsn` changed inside `area`, as ops that say what they hold now; `wanted` tells
// which chunks are of interest, asked for whole regions of 16×16 chunks first. Cells point into the store.
void for_each_restored(const storage::Head& store, Lsn lsn, const Restore::Area& area,
                       const std::function<bool(const map::Rect& chunks)>& wanted,
                       const std::function<void(const map::Op&)>& visit);

}  // namespace terrazzo::shard

#pragma once

#include <cstdint>
#include <span>

#include "base/arena.h"
#include "base/error.h"
#include "map/edit.h"
#include "server/shard/log_record.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

// Taking an edit back: from what its log record says it wrote and overwrote come swaps (or, of a huge one, a restore),
// which every shard carries out on what it holds at that moment.
namespace terrazzo::shard {

// What takes the logged edit back in its shard: each cell that it changed, once. They live in the arena. Redoing is the
// same for the record of the undo. Only for pre-images of kind cells. bad_message: the pre-image is not this edit's.
Result<std::span<const Swap>> swaps_against(const LoggedEdit& edit, Arena& arena);
// Likewise of an edit whose state before is pinned.
Restore restore_against(const LoggedEdit& edit, Lsn lsn);

// Swaps on the present state.
struct ResolvedSwaps {
  std::span<const map::Op> ops;             // in the arena
  std::uint64_t restored = 0, skipped = 0;  // cells
};
ResolvedSwaps resolve(const storage::Head& store, std::span<const Swap> swaps, Arena& arena);
// Ops on the cells that resolving reads and may write, for looking ahead.
std::span<const map::Op> ops_around(std::span<const Swap> swaps, Arena& arena);

}  // namespace terrazzo::shard

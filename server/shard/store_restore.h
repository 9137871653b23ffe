#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "map/edit.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

// Going back to a pinned state, area by area: whole chunks share their pages with it again, chunks in part are copied.
namespace terrazzo::shard {

// Cell and node pages it may need at most.
std::uint32_t pages_worst(const Restore& restore);
// The store has begun the edit; cannot fail. `pin`: a copy of the store's own, or an empty one.
void apply_restore(const storage::Head& store, const storage::PinInfo& pin, const Restore& restore);
// The chunks of one layer that edit `lsn` changed inside `area`, as ops that say what they hold now; `wanted` tells
// which chunks are of interest, asked for whole regions of 16×16 chunks first. Cells point into the store.
void for_each_restored(const storage::Head& store, Lsn lsn, const Restore::Area& area,
                       const std::function<bool(const map::Rect& chunks)>& wanted,
                       const std::function<void(const map::Op&)>& visit);

}  // namespace terrazzo::shard

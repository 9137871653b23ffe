#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "map/edit.h"
#include "server/storage/head.h"

// Edits on a shard's store: huge fills become single entries, everything else is map/edit_apply chunk by chunk.
namespace terrazzo::shard {

// Cell pages that the ops may need at most, on the present state.
std::uint32_t pages_worst(const storage::Head& store, std::span<const map::Op> ops);
// The store has begun the edit; cannot fail.
void apply_ops(const storage::Head& store, std::span<const map::Op> ops);
// The present cells of a rectangle, row by row; `cells` has rect.area() of them. Without a store all are empty.
void read_cells(const storage::Head& store, map::LayerId layer, const map::Rect& rect, std::span<map::Cell> cells);
// condition_failed: names the condition by its index. an empty `store`: nothing but empty cells.
Status check_conditions(const storage::Head& store, std::span<const map::Condition> conditions);

}  // namespace terrazzo::shard

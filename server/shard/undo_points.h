#pragma once

#include <span>

#include "map/edit.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

namespace terrazzo::shard {

// Edits of more cells keep the state before them as a pin instead of as cells in their log record: a fill of a hundred
// million cells is undone by sharing pages again.
inline constexpr std::uint64_t kPreImageCellsMax = 65536;

bool needs_undo_point(std::span<const map::Op> ops);
// Pins the state before edit `lsn`, as undo point `lsn`; lets the oldest go when there are more than `most`.
void add_undo_point(const storage::Head& store, Lsn lsn, std::size_t most);

}  // namespace terrazzo::shard

#pragma once

#include <cstdint>
#include <span>

#include "map/edit.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

namespace terrazzo::shard {

// Edits of more cells keep the state before them as a pin instead of as cells in their log record, and the state after
// them as another one: a fill of a hundred million cells is undone by sharing pages again, where nobody has changed
// what it wrote.
inline constexpr std::uint64_t kPreImageCellsMax = 65536;

// The number of the pin that has the state right after edit `lsn`; that of the state before it is `lsn`.
constexpr std::uint64_t written_by(std::uint64_t lsn) {
  return lsn | std::uint64_t{1} << 63;
}

bool needs_undo_point(std::span<const map::Op> ops);
// Pins the state before edit `lsn`, as undo point `lsn`; lets the oldest go when there are more than `most`.
void add_undo_point(const storage::Head& store, Lsn lsn, std::size_t most);
// Pins the present state as what edit `lsn` wrote.
void complete_undo_point(const storage::Head& store, Lsn lsn);

}  // namespace terrazzo::shard

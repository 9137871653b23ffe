#pragma once

#include <memory>
#include <span>

#include "base/error.h"
#include "server/app/mesh_kinds.h"
#include "server/io/read_only_mapping.h"
#include "server/shard/edit_changes.h"

namespace terrazzo::app {

// What logged edits of a shard changed: from their pre-images, and of edits too large for one from the states before and
// after them, which the shard keeps as undo points. Blocking; one thread.
class PastReader {
 public:
  // `shard`: with its undo points. Outlives this. `area`: cells; of large edits only chunks that it touches.
  PastReader(const PinsGather::Shard& shard, const map::Rect& area) : shard_(shard), area_(area) {}

  // Calls `visit` for the chunks that the edit changed. False: it was too large, and its undo point is gone, so that
  // nobody knows.
  Result<bool> read(const shard::LoggedEdit& edit, Lsn lsn, const shard::ChangeVisit& visit);
  // Cells of the state that was gathered as number `state`.
  Status read_chunk(std::size_t state, map::LayerId layer, std::uint16_t chunk, shard::ChunkCells& cells);
  // Whether what was read rests on undo points, which may go at any time.
  bool used_undo_points() const { return used_undo_points_; }

 private:
  Result<std::span<const std::byte>> file();
  Status whole() const;
  const storage::PinInfo* undo_point(std::uint64_t id) const;

  const PinsGather::Shard& shard_;
  const map::Rect area_;
  std::unique_ptr<io::ReadOnlyMapping> mapping_;  // when it is first needed
  bool used_undo_points_ = false;
};

}  // namespace terrazzo::app

#include "server/app/past_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "server/shard/undo_points.h"
#include "shardfile/tree_diff.h"

namespace terrazzo::app {
namespace {

using shardfile::ChunkView;
using shardfile::TreeReader;

void copy_cells(const ChunkView& view, shard::ChunkCells& cells) {
  static_assert(sizeof(shard::ChunkCells) == shardfile::kPageBytes);
  if (view.cells == nullptr) {
    cells.fill(map::Cell{view.fill});
  } else {
    std::memcpy(static_cast<void*>(cells.data()), view.cells, shardfile::kPageBytes);
  }
}

Error damaged(const std::string& path) {
  return {ErrorCode::internal, path + " is damaged: terrazzo-server verify says where"};
}

}  // namespace

Result<bool> PastReader::read(const shard::LoggedEdit& edit, Lsn lsn, const shard::ChangeVisit& visit) {
  if (edit.pre_image_kind == shard::PreImageKind::cells) {
    const Status read = shard::for_each_change(edit, visit);
    return read ? Result<bool>(true) : Result<bool>(read.error());
  }
  const storage::PinInfo* const before = undo_point(lsn.value);
  const storage::PinInfo* const after = undo_point(shard::written_by(lsn.value));
  if (edit.pre_image_kind != shard::PreImageKind::pinned || before == nullptr || after == nullptr) return false;
  const Result<std::span<const std::byte>> bytes = file();
  if (!bytes) return bytes.error();
  used_undo_points_ = true;
  const TreeReader was(*bytes, before->top), became(*bytes, after->top);
  bool readable = true;
  shard::ChunkCells old_cells, new_cells;
  const bool all = shardfile::diff_trees(was, became, [&](std::uint8_t layer, std::uint16_t chunk) {
    const map::ChunkPos at = map::chunk_at(shard_.position, chunk);
    if (!map::cells_of(at).intersects(area_)) return;
    const ChunkView a = was.read(layer, chunk), b = became.read(layer, chunk);
    readable = readable && !a.damaged && !b.damaged;
    if (!readable || a.blob != 0 || b.blob != 0) return;
    copy_cells(a, old_cells);
    copy_cells(b, new_cells);
    visit(layer, at, old_cells, new_cells);
  });
  if (!all || !readable) return damaged(shard_.path);
  if (const Status there = whole(); !there) return there.error();
  return true;
}

Status PastReader::read_chunk(std::size_t state, map::LayerId layer, std::uint16_t chunk, shard::ChunkCells& cells) {
  const Result<std::span<const std::byte>> bytes = file();
  if (!bytes) return bytes.error();
  const ChunkView view = TreeReader(*bytes, shard_.trees[state]).read(layer, chunk);
  if (view.damaged) return damaged(shard_.path);
  copy_cells(view, cells);
  return whole();
}

Status PastReader::whole() const {
  if (!mapping_->faulted()) return {};
  return Error{ErrorCode::internal, shard_.path + " was cut off while it was read; stop the server and restore it"};
}

Result<std::span<const std::byte>> PastReader::file() {
  if (!mapping_) {
    auto opened = io::ReadOnlyMapping::open(shard_.path, io::Reads::here_and_there);
    if (!opened) return opened.error();
    mapping_ = *std::move(opened);
  }
  return mapping_->bytes();
}

const storage::PinInfo* PastReader::undo_point(std::uint64_t id) const {
  const auto found = std::ranges::find(shard_.undo_points, id, &storage::PinInfo::id);
  return found == shard_.undo_points.end() ? nullptr : &*found;
}

}  // namespace terrazzo::app

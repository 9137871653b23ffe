#include "server/app/version_diff.h"

#include <cstring>

#include "server/io/read_only_mapping.h"
#include "shardfile/tree_diff.h"

namespace terrazzo::app {
namespace {

// Whether the chunk's cells are really different, not only rewritten.
bool differs(const shardfile::ChunkView& a, const shardfile::ChunkView& b) {
  if (a.blob != 0 || b.blob != 0) return true;
  if (a.cells != nullptr && b.cells != nullptr) return std::memcmp(a.cells, b.cells, shardfile::kPageBytes) != 0;
  for (std::size_t i = 0; i < shardfile::kPageWords; ++i)
    if ((a.cells == nullptr ? a.fill : a.cells[i]) != (b.cells == nullptr ? b.fill : b.cells[i])) return true;
  return false;
}

void add(http::ShardDiff& diff, std::uint8_t layer, std::uint16_t chunk) {
  ++diff.chunks;
  const map::ChunkPos at = map::chunk_at(diff.shard, chunk);
  // Chunks come region by region, row by row: neighbours in a row become one area.
  if (!diff.areas.empty()) {
    http::ShardDiff::Area& last = diff.areas.back();
    if (last.layer == layer && last.chunks.y0 == at.y && last.chunks.x1 == at.x) {
      ++last.chunks.x1;
      return;
    }
  }
  diff.areas.push_back({layer, map::Rect::of_size(at.x, at.y, 1, 1)});
}

}  // namespace

Result<std::vector<http::ShardDiff>> diff_shards(const std::vector<PinsGather::Shard>& shards) {
  std::vector<http::ShardDiff> diffs;
  for (const PinsGather::Shard& shard : shards) {
    const Result<std::unique_ptr<io::ReadOnlyMapping>> file =
        io::ReadOnlyMapping::open(shard.path, io::Reads::here_and_there);
    if (!file) return file.error();
    const shardfile::TreeReader a((*file)->bytes(), shard.trees[0]), b((*file)->bytes(), shard.trees[1]);
    http::ShardDiff diff;
    diff.shard = shard.position;
    const bool whole = shardfile::diff_trees(a, b, [&](std::uint8_t layer, std::uint16_t chunk) {
      if (differs(a.read(layer, chunk), b.read(layer, chunk))) add(diff, layer, chunk);
    });
    if (!whole) return Error{ErrorCode::internal, shard.path + " is damaged: terrazzo-server verify says where"};
    if (diff.chunks != 0) diffs.push_back(std::move(diff));
  }
  return diffs;
}

}  // namespace terrazzo::app

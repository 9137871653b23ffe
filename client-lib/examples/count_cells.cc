// Counts the painted cells of a shard on the server's own host, in the server's file, without a connection, while
// others paint:
//   count_cells data/worlds/4711/0_0.shard 1
#include <cstdio>
#include <cstdlib>
#include <string>

#include "terrazzo/local_shard.h"

using namespace terrazzo;
using namespace std::chrono_literals;

namespace {

// Looks at the cells where they lie. Nothing is copied, so whoever takes long over it (the server's --reader-hold-s, 60
// s) may find that its view was closed meanwhile, and what it has counted then was perhaps torn: valid() tells.
Result<std::uint64_t> count(const client::LocalShard& shard, map::LayerId layer) {
  std::uint64_t painted = 0;
  const map::Rect chunks = map::chunks_of(map::cells_of(shard.position()));
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y) {
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x) {
      const auto chunk = shard.chunk(layer, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
      if (!chunk) return chunk.error();
      if (chunk->cells.empty()) painted += chunk->fill.empty() ? 0 : map::kChunkCells;
      for (const map::Cell cell : chunk->cells) painted += cell.empty() ? 0 : 1;
    }
  }
  if (const Status whole = shard.valid(); !whole) return whole.error();
  return painted;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "count_cells DATA/worlds/WORLD/X_Y.shard LAYER\n");
    return 2;
  }
  // This program has nothing else that touches mapped files: SIGBUS may be the library's.
  client::guard_local_shards();
  auto shard = client::LocalShard::open(argv[1], 2s);
  if (!shard) {
    std::fprintf(stderr, "%s\n", shard.error().message.c_str());
    return 1;
  }
  const auto layer = static_cast<map::LayerId>(std::atoi(argv[2]));
  auto painted = count(**shard, layer);
  // Closed: the newest state is another chance.
  while (!painted && painted.error().code == ErrorCode::conflict && (*shard)->refresh())
    painted = count(**shard, layer);
  if (!painted) {
    std::fprintf(stderr, "%s\n", painted.error().message.c_str());
    return 1;
  }
  std::printf("%llu cells are painted after edit %llu\n", static_cast<unsigned long long>(*painted),
              static_cast<unsigned long long>((*shard)->lsn().value));
}

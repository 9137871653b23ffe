#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "map/coords.h"
#include "tests/sim/server.h"

namespace terrazzo::sim {

// What the server's stores hold, looked at from outside.
class Truth {
 public:
  explicit Truth(Server& server) : server_(server) {}

  using Chunk = std::array<std::uint32_t, map::kChunkCells>;
  // Nothing: the shard is not open.
  std::optional<Chunk> chunk(const char* world, map::LayerId layer, map::ChunkPos position);
  std::optional<std::uint32_t> cell(const char* world, map::LayerId layer, map::CellPos position);
  // As of a version; 0 where the shard was made after it.
  std::optional<std::uint32_t> cell_of_version(const char* world, std::uint64_t version, map::LayerId layer,
                                               map::CellPos position);
  // Those of a world that are open and were edited.
  std::vector<map::ShardPos> shards(const char* world);
  // The newest edit of each of those.
  std::map<map::ShardPos, Lsn> newest(const char* world);
  // Nothing: the shard is not open.
  std::optional<bool> has_version(const char* world, std::uint64_t version, map::ShardPos shard);

 private:
  // One of a shard's lines: the main one, or a branch. No store: the shard was never edited.
  struct Line {
    const storage::ShardStore* store = nullptr;
    storage::HeadId head = storage::kMainHead;
  };
  std::optional<Line> line(const char* world, map::ShardPos shard);

  Server& server_;
};

}  // namespace terrazzo::sim

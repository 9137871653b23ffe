#include "tests/sim/truth.h"

#include <algorithm>

namespace terrazzo::sim {

const storage::ShardStore* Truth::store(const char* world, map::ShardPos shard, bool& open) {
  open = false;
  app::Assembly& assembly = server_.assembly();
  const auto found = assembly.node.worlds.find(world);
  if (!found) return nullptr;
  const shard::ShardKey key{found->id, shard};
  // Whose it is at the moment is the cores' business.
  const app::ShardSlot* slot = nullptr;
  for (const auto& core : assembly.cores)
    if (slot == nullptr) slot = core->shards().find(key);
  if (slot == nullptr || slot->shard == nullptr) return nullptr;
  open = true;
  return slot->shard->store();
}

std::optional<Truth::Chunk> Truth::chunk(const char* world, map::LayerId layer, map::ChunkPos position) {
  bool open = false;
  const storage::ShardStore* const found = store(world, map::shard_of(position), open);
  if (!open) return std::nullopt;
  Chunk cells{};
  if (found == nullptr) return cells;
  const storage::ChunkRead read = found->read(layer, map::index_in_shard(position));
  if (read.cells != nullptr) {
    std::copy_n(read.cells, cells.size(), cells.begin());
  } else {
    cells.fill(read.fill);
  }
  return cells;
}

std::optional<std::uint32_t> Truth::cell(const char* world, map::LayerId layer, map::CellPos position) {
  const auto cells = chunk(world, layer, map::chunk_of(position));
  if (!cells) return std::nullopt;
  return (*cells)[map::index_in_chunk(position)];
}

std::optional<std::uint32_t> Truth::cell_of_version(const char* world, std::uint64_t version, map::LayerId layer,
                                                    map::CellPos position) {
  bool open = false;
  const map::ChunkPos chunk = map::chunk_of(position);
  const storage::ShardStore* const found = store(world, map::shard_of(chunk), open);
  if (!open) return std::nullopt;
  if (found == nullptr) return 0;
  const storage::PinInfo* const pin = found->find_pin(storage::PinKind::version, version);
  if (pin == nullptr) return 0;
  const storage::ChunkRead read = found->read(*pin, layer, map::index_in_shard(chunk));
  return read.cells != nullptr ? read.cells[map::index_in_chunk(position)] : read.fill;
}

}  // namespace terrazzo::sim

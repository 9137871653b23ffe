#include "tests/sim/truth.h"

#include <algorithm>

#include "base/branch_world.h"

namespace terrazzo::sim {

std::optional<Truth::Line> Truth::line(const char* world, map::ShardPos shard) {
  app::Assembly& assembly = server_.assembly();
  const auto found = assembly.node.worlds.find(world);
  if (!found) return std::nullopt;
  const shard::ShardKey key{found->id, shard};
  // Whose it is at the moment is the cores' business.
  app::ShardSlot* slot = nullptr;
  for (const auto& core : assembly.cores)
    if (slot == nullptr) slot = core->shards().find(key);
  if (slot == nullptr || slot->shard == nullptr) return std::nullopt;
  Line line{slot->shard->store()};
  const auto branch = assembly.node.branches.get(found->id);
  if (branch) line.head = branch->number;
  if (line.store != nullptr && !line.store->has_head(line.head)) return std::nullopt;  // nobody has asked for it
  return line;
}

std::optional<Truth::Chunk> Truth::chunk(const char* world, map::LayerId layer, map::ChunkPos position) {
  const auto found = line(world, map::shard_of(position));
  if (!found) return std::nullopt;
  Chunk cells{};
  if (found->store == nullptr) return cells;
  const storage::ChunkRead read = found->store->read(layer, map::index_in_shard(position), found->head);
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
  const map::ChunkPos chunk = map::chunk_of(position);
  const auto found = line(world, map::shard_of(chunk));
  if (!found) return std::nullopt;
  if (found->store == nullptr) return 0;
  const storage::PinInfo* const pin = found->store->find_pin(storage::PinKind::version, version, found->head);
  if (pin == nullptr) return 0;
  const storage::ChunkRead read = found->store->read(*pin, layer, map::index_in_shard(chunk));
  return read.cells != nullptr ? read.cells[map::index_in_chunk(position)] : read.fill;
}

std::vector<map::ShardPos> Truth::shards(const char* world) {
  std::vector<map::ShardPos> found;
  if (!server_.running()) return found;
  const auto known = server_.assembly().node.worlds.find(world);
  if (!known) return found;
  for (const auto& core : server_.assembly().cores)
    core->shards().for_each([&](app::ShardSlot& slot) {
      const shard::ShardKey& key = slot.shard->key();
      if (key.world != main_world(known->id)) return;
      if (const auto open = line(world, key.position); open && open->store != nullptr) found.push_back(key.position);
    });
  return found;
}

std::map<map::ShardPos, Lsn> Truth::newest(const char* world) {
  std::map<map::ShardPos, Lsn> newest;
  for (const map::ShardPos at : shards(world))
    if (const auto open = line(world, at)) newest[at] = open->store->lsn(open->head);
  return newest;
}

std::optional<bool> Truth::has_version(const char* world, std::uint64_t version, map::ShardPos shard) {
  const auto found = line(world, shard);
  if (!found) return std::nullopt;
  return found->store != nullptr && found->store->find_pin(storage::PinKind::version, version, found->head) != nullptr;
}

}  // namespace terrazzo::sim

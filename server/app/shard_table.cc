#include "server/app/shard_table.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace terrazzo::app {

Result<ShardSlot*> ShardTable::find_or_open(const shard::ShardKey& key) {
  if (const auto found = slots_.find(key); found != slots_.end()) return found->second.get();
  Result<ShardSlot*> opened = find_or_open_unrecovered(key);
  if (opened) (*opened)->shard->recovered();
  return opened;
}

Result<ShardSlot*> ShardTable::find_or_open_unrecovered(const shard::ShardKey& key) {
  if (const auto found = slots_.find(key); found != slots_.end()) return found->second.get();
  if (const auto found = damaged_.find(key); found != damaged_.end()) return found->second;
  Result<std::unique_ptr<ShardSlot>> opened = open(key);
  if (!opened) {
    damaged_.emplace(key, opened.error());
    return opened.error();
  }
  return slots_.emplace(key, *std::move(opened)).first->second.get();
}

Result<std::unique_ptr<ShardSlot>> ShardTable::open(const shard::ShardKey& key) {
  std::shared_ptr<const map::World> world = node_.worlds.find(key.world);
  if (!world) return Error{ErrorCode::not_found, "there is no world " + std::to_string(key.world.value)};
  const storage::ShardIdentity identity{key.world, key.position.x, key.position.y};
  const std::string path = node_.data->shard_path(key.world, key.position.x, key.position.y);
  auto slot = std::make_unique<ShardSlot>();
  std::unique_ptr<storage::ShardStore> store;
  const Result<bool> there = node_.data->exists(path);
  if (!there) return there.error();
  if (*there) {
    Result<std::unique_ptr<io::MmapPageFile>> file = io::MmapPageFile::open(path);
    if (!file) return file.error();
    Result<std::unique_ptr<storage::ShardStore>> opened = storage::ShardStore::open(**file, identity);
    if (!opened) return Error{opened.error().code, path + ": " + opened.error().message};
    slot->file = *std::move(file);
    store = *std::move(opened);
  }
  if (store) make_publisher(*slot, path);
  // Runs inside the shard's first edit, on this core; the slot outlives its shard.
  const auto make_store = [this, key, identity, path,
                           owner = slot.get()]() -> Result<std::unique_ptr<storage::ShardStore>> {
    // It may be there from an earlier try, when the disk was full.
    if (!owner->file) {
      if (const Status made = node_.data->make_shard_folder(key.world); !made) return made.error();
      Result<std::unique_ptr<io::MmapPageFile>> created = io::MmapPageFile::create(path);
      if (!created) return created.error();
      owner->file = *std::move(created);
      make_publisher(*owner, path);
    }
    return storage::ShardStore::create(*owner->file, identity);
  };
  shard::RunInfo run{node_.incarnation};
  node_.versions.numbers(key.world, run.versions, run.deleted_versions);
  slot->shard = std::make_unique<shard::Shard>(key, std::move(world), run, encoder_, std::move(store), make_store);
  return slot;
}

void ShardTable::make_publisher(ShardSlot& slot, const std::string& path) {
  if (node_.config.publish_ms == 0) return;
  const std::string page = path.substr(0, path.size() - std::string_view(".shard").size()) + ".readers";
  Result<std::unique_ptr<io::SharedPage>> shared = io::SharedPage::open(page);
  if (!shared) return spdlog::warn("readers on this host cannot see a shard: {}", shared.error().message);
  slot.readers = *std::move(shared);
  slot.publisher =
      std::make_unique<storage::RootPublisher>(*static_cast<shardfile::PublishedRoot*>(slot.readers->memory()),
                                               std::uint64_t{node_.config.reader_hold_s} * 1'000'000'000);
}

}  // namespace terrazzo::app

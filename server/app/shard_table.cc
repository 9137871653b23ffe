#include "server/app/shard_table.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "server/catalog/catalog.h"
#include "server/io/durable_file.h"

namespace terrazzo::app {
namespace {

// Of a new file: so many that the first edits need not wait for disk space.
constexpr storage::PageNo kFirstPages = 64;

std::string path_of(const Node& node, const shard::ShardKey& key) {
  return node.data->shard_path(key.world, key.position.x, key.position.y);
}

// Both roots, with all that the kernel may keep in one piece with them.
constexpr std::size_t kLookedAtBytes = 2 << 20;

storage::ShardIdentity identity_of(const shard::ShardKey& key) {
  return {main_world(key.world), key.position.x, key.position.y};
}

std::unique_ptr<io::SharedPage> page_for_readers(const Node& node, const std::string& path) {
  if (node.config.publish_ms == 0) return nullptr;
  const std::string page = path.substr(0, path.size() - std::string_view(".shard").size()) + ".readers";
  Result<std::unique_ptr<io::SharedPage>> shared = io::SharedPage::open(page);
  if (shared) return *std::move(shared);
  spdlog::warn("readers on this host cannot see a shard: {}", shared.error().message);
  return nullptr;
}

}  // namespace

Status judge_lost_root(const Node& node, const shard::ShardKey& key, io::MmapPageFile& file,
                       const storage::ShardStore& store) {
  const std::optional<storage::PageNo> page = storage::lost_root(file);
  if (!page) return {};
  const std::string path = path_of(node, key);
  const std::string what = fmt::format(
      "{}: page {}, one of the two roots, is not whole, and edits after checkpoint {} (edit {} of the shard) may be "
      "lost",
      path, *page, store.generation(), store.lsn().value);
  if (!node.config.accept_log_loss) {
    return Error{ErrorCode::internal, what +
                                          ". Restore the file from a backup; or start once with --accept-log-loss "
                                          "to go on with what is left"};
  }
  storage::give_up_lost_root(file);
  if (::fdatasync(file.fd()) != 0)
    return Error{ErrorCode::read_only, fmt::format("{}: cannot be synced: {}", path, std::strerror(errno))};
  spdlog::critical("{}: they are given up, as --accept-log-loss says", what);
  return {};
}

Result<ShardFile> open_shard_file(const Node& node, const shard::ShardKey& key) {
  Result<ShardFile> opened = open_unrecovered_file(node, key);
  if (!opened || !opened->store) return opened;
  if (Status judged = judge_lost_root(node, key, *opened->file, *opened->store); !judged) return judged.error();
  return opened;
}

Result<ShardFile> open_unrecovered_file(const Node& node, const shard::ShardKey& key) {
  const std::string path = path_of(node, key);
  ShardFile opened;
  const Result<bool> there = node.data->exists(path);
  if (!there) return there.error();
  if (!*there) return opened;
  // Before a root is believed and the log put away on its word.
  if (Status looked = io::look_at_disk(path, kLookedAtBytes); !looked) return looked.error();
  Result<std::unique_ptr<io::MmapPageFile>> file = io::MmapPageFile::open(path);
  if (!file) return file.error();
  opened.file = *std::move(file);
  Result<std::unique_ptr<storage::ShardStore>> store = storage::ShardStore::open(*opened.file, identity_of(key));
  if (!store) return Error{store.error().code, path + ": " + store.error().message};
  opened.store = *std::move(store);
  opened.readers = page_for_readers(node, path);
  return opened;
}

Result<ShardFile> create_shard_file(const Node& node, const shard::ShardKey& key) {
  const std::string path = path_of(node, key);
  if (const Status made = node.data->make_shard_folder(key.world); !made) return made.error();
  Result<std::unique_ptr<io::MmapPageFile>> file = io::MmapPageFile::create(path);
  // It may be there from an earlier try, when the disk was full.
  const bool again = !file && file.error().code == ErrorCode::already_exists;
  Error why = again ? file.error() : Error{};
  if (again) file = io::MmapPageFile::open(path);
  if (!file) return file.error();
  ShardFile created;
  created.file = *std::move(file);
  // If there is no space for them, the first edit asks again and is told.
  if (const Status grown = created.file->grow(kFirstPages); !grown) spdlog::warn("{}", grown.error().message);
  Result<std::unique_ptr<storage::ShardStore>> store = storage::ShardStore::open(*created.file, identity_of(key));
  if (!store) return store.error();
  created.store = *std::move(store);
  if (created.store->generation() != 0) return why;  // somebody else's, put here meanwhile
  created.readers = page_for_readers(node, path);
  return created;
}

ShardSlot* ShardTable::find(const shard::ShardKey& key) const {
  const auto found = slots_.find(main_key(key));
  return found == slots_.end() ? nullptr : found->second.get();
}

const Error* ShardTable::damage(const shard::ShardKey& key) const {
  const auto found = damaged_.find(main_key(key));
  return found == damaged_.end() ? nullptr : &found->second;
}

Result<ShardSlot*> ShardTable::find_or_open_unrecovered(const shard::ShardKey& key) {
  if (ShardSlot* const slot = find(key)) return slot;
  if (const Error* const why = damage(key)) return *why;
  return add(main_key(key), open_unrecovered_file(node_, key));
}

Result<ShardSlot*> ShardTable::open(const shard::ShardKey& key, Result<ShardFile> file) {
  Result<ShardSlot*> added = add(main_key(key), std::move(file));
  if (added) (*added)->shard->recovered();
  return added;
}

shard::Shard* ShardTable::line(ShardSlot& slot, WorldId world, bool recovering) {
  if (shard::Shard* const found = slot.shard->find(world)) return found;
  const std::optional<catalog::NamedBranch> branch = node_.branches.get(world);
  if (!branch) return nullptr;
  const std::shared_ptr<const map::World> metadata = node_.worlds.find(world);
  if (!metadata || line(slot, branch->parent, recovering) == nullptr) return nullptr;
  shard::BranchInfo info{world, branch->number, branch->parent, branch->origin, metadata, {node_.incarnation}};
  node_.versions.numbers(world, info.run.versions, info.run.deleted_versions);
  shard::Shard& added = slot.shard->add_branch(info);
  if (!recovering) added.recovered();
  return &added;
}

std::unique_ptr<storage::ShardStore> ShardTable::adopt(ShardSlot& slot, ShardFile file) {
  slot.file = std::move(file.file);
  slot.readers = std::move(file.readers);
  if (slot.readers)
    slot.publisher =
        std::make_unique<storage::RootPublisher>(*static_cast<shardfile::PublishedRoot*>(slot.readers->memory()),
                                                 std::uint64_t{node_.config.reader_hold_s} * 1'000'000'000);
  return std::move(file.store);
}

Result<ShardSlot*> ShardTable::add(const shard::ShardKey& key, Result<ShardFile> file) {
  std::shared_ptr<const map::World> world = node_.worlds.find(key.world);
  // Not damage: the world may come.
  if (!world) return Error{ErrorCode::not_found, "there is no world " + std::to_string(key.world.value)};
  if (!file) {
    damaged_.emplace(key, file.error());
    return file.error();
  }
  if (file->store) {
    if (const Status agrees =
            catalog::agrees_with_lists(*file->store, main_world(key.world), node_.versions, node_.branches);
        !agrees) {
      const Error why{agrees.error().code, path_of(node_, key) + ": " + agrees.error().message};
      damaged_.emplace(key, why);
      return why;
    }
  }
  auto slot = std::make_unique<ShardSlot>();
  std::unique_ptr<storage::ShardStore> store = adopt(*slot, *std::move(file));
  shard::RunInfo run{node_.incarnation};
  node_.versions.numbers(key.world, run.versions, run.deleted_versions);
  slot->shard = std::make_unique<shard::Shard>(key, std::move(world), run, encoder_, encoded_, std::move(store),
                                               store_factory(key, *slot));
  for (const storage::HeadId dropped : slot->shard->keep_branches(node_.branches.numbers(key.world)))
    spdlog::info("shard {},{} of world {} gives up what it has of branch {}, which was dropped", key.position.x,
                 key.position.y, main_world(key.world).value, dropped);
  return slots_.emplace(key, std::move(slot)).first->second.get();
}

shard::Shard::StoreFactory ShardTable::store_factory(const shard::ShardKey& key, ShardSlot& slot) {
  return [this, key, &slot]() -> Result<std::unique_ptr<storage::ShardStore>> {
    if (slot.no_file) return *std::exchange(slot.no_file, std::nullopt);
    Result<ShardFile> created = create_shard_file(node_, key);
    if (!created) return created.error();
    return adopt(slot, *std::move(created));
  };
}

std::unique_ptr<ShardSlot> ShardTable::release(const shard::ShardKey& key) {
  auto slot = slots_.extract(key);
  TZ_ASSERT(!slot.empty());
  return std::move(slot.mapped());
}

ShardSlot* ShardTable::install(const shard::ShardKey& key, std::unique_ptr<ShardSlot> slot) {
  slot->shard->settle(encoder_, encoded_, store_factory(key, *slot));
  const auto [at, is_new] = slots_.emplace(key, std::move(slot));
  TZ_ASSERT(is_new);
  return at->second.get();
}

void ShardTable::give_file(ShardSlot& slot, Result<ShardFile> file) {
  if (file) {
    slot.shard->give_store(adopt(slot, *std::move(file)));
  } else {
    slot.no_file = file.error();
  }
}

}  // namespace terrazzo::app

#include "server/app/assembly.h"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "map/formats/world_json.h"
#include "server/app/history_keeper.h"
#include "server/catalog/catalog.h"
#include "server/maintenance/partial_folder.h"

namespace terrazzo::app {
namespace {

Status add_branches(Node& node, const map::World& main) {
  for (const catalog::NamedBranch& branch : node.branches.list(main.id)) {
    auto world = std::make_shared<const map::World>(branch_metadata(main, branch));
    if (Status added = node.worlds.add(std::move(world)); !added) return added;
  }
  return {};
}

Status load_worlds(Node& node) {
  const Result<std::vector<WorldId>> ids = node.data->list_worlds();
  if (!ids) return ids.error();
  for (const WorldId id : *ids) {
    const Result<std::string> text = node.data->read_world(id);
    if (!text) return text.error();
    Result<map::World> world = formats::world_from_json(*text);
    if (!world) {
      return Error{ErrorCode::internal, "the metadata of world " + std::to_string(id.value) + " is damaged: " +
                                            world.error().message + "; restore its world.json from a backup"};
    }
    world->id = id;
    if (Status loaded = catalog::load_lists(*node.data, id, node.versions, node.branches); !loaded) return loaded;
    if (Status added = add_branches(node, *world); !added) return added;
    if (Status added = node.worlds.add(std::make_shared<const map::World>(*std::move(world))); !added) return added;
  }
  return {};
}

Status set_up_identity(Node& node) {
  node.resume_tokens = std::make_unique<ResumeTokens>(node.data->secret());
  if (node.config.auth == AuthMode::none) {
    node.authenticator = Authenticator::none();
    return {};
  }
  std::vector<std::string> paths = node.config.token_keys;
  if (paths.empty()) {
    paths = {node.config.data_dir + "/token.secret"};
    if (Status there = have_secret(paths.front()); !there) return there;
  }
  auto keys = KeyStore::open(std::move(paths),
                             {node.config.token_issuer, node.config.token_audiences, node.config.token_leeway_s});
  if (!keys) return keys.error();
  node.authenticator = Authenticator::with_keys(*std::move(keys));
  return {};
}

}  // namespace

Assembly::~Assembly() {
  node.workers.reset();
  node.page_workers.reset();
}

Status open_data(Node& node) {
  Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(node.config.data_dir);
  if (!data) return data.error();
  node.data = *std::move(data);
  node.incarnation = node.data->incarnation();
  // Of a run that ended while it made a backup. Nothing depends on it.
  if (const Status removed = maintenance::remove_partial_folders(node.config.backup_folder()); !removed)
    spdlog::warn("unfinished backups stay where they are: {}", removed.error().message);
  // Shards will take over what the lists say.
  if (Status synced = node.data->sync_worlds(); !synced) return synced;
  if (Status loaded = load_worlds(node); !loaded) return loaded;
  if (Status loaded = node.reach.load(*node.data); !loaded) return loaded;
  if (Status loaded = node.user_names.load(*node.data); !loaded) return loaded;
  if (node.user_names.damaged() != 0)
    spdlog::warn("users.names is damaged in {} places: some users are known by their numbers only",
                 node.user_names.damaged());
  return set_up_identity(node);
}

Result<RecoveryReport> make_cores(Assembly& assembly, std::vector<CoreIo> io, const std::vector<int>& listeners,
                                  const AssemblySizes& sizes) {
  Node& node = assembly.node;
  std::vector<runtime::EventLoop*> wakers;
  for (const CoreIo& core : io) wakers.push_back(core.loop.get());
  node.mesh = std::make_unique<runtime::Mesh>(wakers, sizes.mesh_capacity, sizes.mesh_backlog_max);
  const auto wake = [&node](unsigned core) { node.mesh->wake(static_cast<int>(core)); };
  node.workers = std::make_unique<WorkerPool>(sizes.worker_threads, static_cast<unsigned>(node.cores), wake);
  node.page_workers = std::make_unique<WorkerPool>(sizes.page_threads, static_cast<unsigned>(node.cores), wake);
  for (int core = 0; core < node.cores; ++core) {
    const auto at = static_cast<std::size_t>(core);
    assembly.cores.push_back(
        std::make_unique<CoreServices>(node, static_cast<shard::CoreId>(core), std::move(io[at]), listeners[at]));
  }
  Result<RecoveryReport> recovered = recover(node, assembly.cores);
  if (!recovered) return recovered;
  keep_history_limits(node);
  node.versions.forget_deleted();
  // A segment that the run before removed may be back after a power cut, and speak of what nobody knows any more.
  if (const Status gone = node.data->sync_log_folders(); gone) {
    node.branches.forget_deleted(recovered->worlds_in_log);
  } else {
    spdlog::warn("numbers of dropped branches stay taken until the next start: {}", gone.error().message);
  }
  if (recovered->segments != 0) {
    spdlog::info("recovered from {} log segments: {} records, {} replayed onto {} shards, {} parts rolled forward",
                 recovered->segments, recovered->records, recovered->replayed, recovered->shards,
                 recovered->rolled_forward);
  }
  return recovered;
}

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "map/world.h"
#include "server/app/mesh_kinds.h"
#include "server/app/node.h"
#include "server/http/api.h"
#include "server/maintenance/backup.h"

namespace terrazzo::app {

// What a backup makes its core do.
class BackupJobOutput {
 public:
  virtual ~BackupJobOutput() = default;
  virtual void save_version_for(WorldId world, const std::string& name,
                                std::function<void(Result<http::VersionInfo>)> done) = 0;
  virtual void remove_version(WorldId world, std::uint64_t version, std::function<void(Status)> done) = 0;
  // The shards of a world as of a version.
  virtual void gather_content(WorldId world, std::uint64_t version,
                              std::function<void(Result<std::unique_ptr<PinsGather>>)> done) = 0;
};

// One backup of everything while edits go on: world by world a version is taken (a consistent cut), its pinned trees
// are copied by a worker, and it is deleted again. Lives on the core that was asked.
class BackupJob : public std::enable_shared_from_this<BackupJob> {
 public:
  BackupJob(Node& node, shard::CoreId self, BackupJobOutput& out, std::string name)
      : node_(node), self_(self), out_(out), name_(std::move(name)) {}
  void start();

 private:
  void next_world();
  void copy_world(std::unique_ptr<PinsGather> gather);
  void finish();
  void end(const Status& outcome) { node_.backups.end(outcome); }
  // On a worker; then `then` here, or the end.
  void work(std::function<Status()> job, std::function<void()> then);
  Status write_world(const PinsGather& gather);
  Status write_assets();

  Node& node_;
  const shard::CoreId self_;
  BackupJobOutput& out_;
  const std::string name_;
  std::optional<maintenance::BackupWriter> writer_;
  std::vector<std::shared_ptr<const map::World>> worlds_;
  std::size_t at_ = 0;
  std::uint64_t version_ = 0, total_ = 0;
};

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <functional>
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

// What backups and merges make their core do.
class LinePins {
 public:
  virtual ~LinePins() = default;
  // Takes a temporary version of a line, a consistent cut, durable when `done` gets its number; and lets it go.
  virtual void pin_world(WorldId world, const std::string& name, std::function<void(Result<std::uint64_t>)> done) = 0;
  virtual void unpin_world(WorldId world, std::uint64_t version, std::function<void(Status)> done) = 0;
};

class BackupJobOutput : public virtual LinePins {
 public:
  // The shards of a world as of a version of each of these lines, the main one last; an error when one of them cannot
  // be opened.
  virtual void gather_content(const std::vector<shard::LineVersion>& lines,
                              std::function<void(Result<std::unique_ptr<PinsGather>>)> done) = 0;
};

// One backup of everything while edits go on: world by world a version is taken of each branch and then of the main
// line (a consistent cut each), the pinned trees are copied by a worker, and they are let go again, whatever came of
// it. The main line comes last: then it has every version at which one of the branches began. Lives on the core that
// was asked.
class BackupJob : public std::enable_shared_from_this<BackupJob> {
 public:
  // `since`: name of the backup to build on; empty: none.
  BackupJob(Node& node, shard::CoreId self, BackupJobOutput& out, std::string name, std::string since)
      : node_(node), self_(self), out_(out), name_(std::move(name)), since_(std::move(since)) {}
  void start();

 private:
  void next_world();
  void pin_next(std::size_t line);
  void gather();
  void copy_world(std::unique_ptr<PinsGather> gather);
  void world_done(const Status& outcome);
  void unpin_next(const Status& outcome);
  void end(const Status& outcome);
  // On a worker; `then` gets the outcome here, at once if no worker takes it on.
  void work(std::function<Status()> job, std::function<void(const Status&)> then);
  // What workers do.
  Status begin_folder();
  Status write_world(const PinsGather& gather);
  Status write_assets();

  Node& node_;
  const shard::CoreId self_;
  BackupJobOutput& out_;
  const std::string name_, since_;
  std::optional<maintenance::BackupWriter> writer_;
  std::vector<std::shared_ptr<const map::World>> worlds_;
  std::size_t at_ = 0;
  // Of the world that is being copied.
  std::string branches_json_;
  std::vector<WorldId> lines_;                // the main one last
  std::vector<shard::LineVersion> versions_;  // of those that are pinned
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace terrazzo::app

#include "server/app/backup_job.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/branch_world.h"
#include "map/formats/world_json.h"
#include "server/catalog/catalog.h"

namespace terrazzo::app {

void BackupJob::work(std::function<Status()> job, std::function<void(const Status&)> then) {
  auto self = shared_from_this();
  const bool asked = node_.workers->submit(
      self_, [self, job, then]() -> WorkerPool::Done { return [self, then, outcome = job()] { then(outcome); }; });
  if (!asked) then(WorkerPool::busy());
}

void BackupJob::start() {
  worlds_ = node_.worlds.list();
  work([this] { return begin_folder(); }, [this](const Status& begun) { begun ? next_world() : end(begun); });
}

Status BackupJob::begin_folder() {
  const std::string beside = node_.config.backup_folder() + "/";
  Result<maintenance::BackupWriter> writer =
      maintenance::BackupWriter::create(beside + name_, since_.empty() ? "" : beside + since_);
  if (!writer) return writer.error();
  writer_ = *std::move(writer);
  for (const auto& world : worlds_) {
    const Result<std::vector<io::ShardFile>> files = node_.data->list_shards(world->id);
    if (!files) return files.error();
    total_ += files->size();
  }
  node_.backups.progress(0, total_);
  // The run that made it: the next one on the restored folder counts on.
  return writer_->add_text("node.json", nlohmann::json{{"format", 1}, {"incarnation", node_.incarnation.value}}.dump());
}

void BackupJob::next_world() {
  if (at_ == worlds_.size())
    return work([this] { return write_assets(); }, [this](const Status& outcome) { end(outcome); });
  const WorldId world = worlds_[at_]->id;
  // From here on none of its branches is dropped, and what one that is made from here on is like is not in the trees.
  node_.backups.copies(world);
  lines_.clear();
  for (const catalog::NamedBranch& branch : node_.branches.list(world)) lines_.push_back(branch.world);
  branches_json_ = node_.branches.to_json(world);
  lines_.push_back(world);
  versions_.clear();
  pin_next(0);
}

void BackupJob::pin_next(std::size_t line) {
  if (line == lines_.size()) return gather();
  out_.pin_world(lines_[line], "backup " + name_, [self = shared_from_this(), line](Result<std::uint64_t> version) {
    if (!version) return self->world_done(version.error());
    self->versions_.push_back({self->lines_[line], *version});
    self->pin_next(line + 1);
  });
}

void BackupJob::gather() {
  out_.gather_content(versions_, [self = shared_from_this()](Result<std::unique_ptr<PinsGather>> gather) {
    gather ? self->copy_world(*std::move(gather)) : self->world_done(gather.error());
  });
}

void BackupJob::copy_world(std::unique_ptr<PinsGather> gather) {
  const std::shared_ptr<PinsGather> found = std::move(gather);
  work([this, found] { return write_world(*found); }, [this](const Status& outcome) { world_done(outcome); });
}

// Whatever came of it, the versions go.
void BackupJob::world_done(const Status& outcome) {
  node_.backups.copies(std::nullopt);
  unpin_next(outcome);
}

void BackupJob::unpin_next(const Status& outcome) {
  if (versions_.empty()) {
    if (!outcome) return end(outcome);
    ++at_;
    return next_world();
  }
  const shard::LineVersion pinned = versions_.back();
  versions_.pop_back();
  out_.unpin_world(pinned.line, pinned.version, [self = shared_from_this(), pinned, outcome](const Status& unpinned) {
    // A branch that was dropped since has taken its versions along.
    const bool gone = !unpinned && unpinned.error().code == ErrorCode::not_found && line_of(pinned.line) != 0;
    self->unpin_next(outcome && !unpinned && !gone ? unpinned : outcome);
  });
}

// A failed one leaves nothing. When no worker can see to that, the next backup or the next start does.
void BackupJob::end(const Status& outcome) {
  if (outcome || !writer_) return node_.backups.end(outcome);
  work(
      [this] {
        writer_.reset();
        return Status();
      },
      [this, outcome](const Status&) { node_.backups.end(outcome); });
}

Status BackupJob::write_world(const PinsGather& gather) {
  const map::World& world = *worlds_[at_];
  const std::string folder = fmt::format("worlds/{}/", world.id.value);
  if (Status added = writer_->add_text(folder + "world.json", formats::world_to_json(world)); !added) return added;
  if (lines_.size() > 1)
    if (Status added = writer_->add_text(catalog::list_of_branches(world.id), branches_json_); !added) return added;
  for (const auto& [line, version] : versions_) {
    // Not those that were saved since: their states are not in the trees.
    const std::string versions = node_.versions.to_json_before(line, version);
    if (Status added = writer_->add_text(catalog::list_of_versions(line), versions); !added) return added;
  }
  for (const PinsGather::Shard& shard : gather.found) {
    // A large world takes longer than a server may take to stop.
    if (node_.draining.load()) return Error{ErrorCode::overloaded, "the server was stopped meanwhile"};
    if (!shard.content) continue;
    maintenance::ShardImage image{{world.id, shard.position.x, shard.position.y},
                                  shard.content->lsn,
                                  shard.content->top,
                                  shard.content->branches,
                                  shard.content->pins,
                                  shard.content->aux};
    const std::string path = fmt::format("{}{}_{}.shard", folder, shard.position.x, shard.position.y);
    if (Status added = writer_->add_shard(path, shard.path, image); !added) return added;
    node_.backups.progress(++done_, total_);
  }
  return {};
}

Status BackupJob::write_assets() {
  const auto assets = node_.data->list_assets();
  if (!assets) return assets.error();
  for (const std::string& hash : *assets) {
    const std::string path = "assets/" + hash.substr(0, 2) + "/" + hash.substr(2);
    if (Status added = writer_->add_file(path, node_.data->path() + "/" + path); !added) return added;
  }
  const std::string names = node_.data->path() + "/users.names";
  const Result<bool> named = node_.data->exists(names);
  if (!named) return named.error();
  if (*named)
    if (Status added = writer_->add_file("users.names", names); !added) return added;
  return writer_->finish();
}

}  // namespace terrazzo::app

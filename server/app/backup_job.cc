#include "server/app/backup_job.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "map/formats/world_json.h"

namespace terrazzo::app {

void BackupJob::work(std::function<Status()> job, std::function<void()> then) {
  auto self = shared_from_this();
  const bool asked = node_.workers->submit(self_, [self, job, then]() -> WorkerPool::Done {
    return [self, then, outcome = job()] { outcome ? then() : self->end(outcome); };
  });
  if (!asked) end(Error{ErrorCode::overloaded, "the server has more file work waiting than it takes on; try again"});
}

void BackupJob::start() {
  worlds_ = node_.worlds.list();
  work(
      [this]() -> Status {
        Result<maintenance::BackupWriter> writer =
            maintenance::BackupWriter::create(node_.config.backup_folder() + "/" + name_);
        if (!writer) return writer.error();
        writer_ = *std::move(writer);
        for (const auto& world : worlds_) {
          const auto files = node_.data->list_shards(world->id);
          if (files) total_ += files->size();
        }
        // The run that made it: the next one on the restored folder counts on.
        return writer_->add_text("node.json",
                                 nlohmann::json{{"format", 1}, {"incarnation", node_.incarnation.value}}.dump());
      },
      [this] { next_world(); });
}

void BackupJob::next_world() {
  if (at_ == worlds_.size()) return finish();
  const WorldId world = worlds_[at_]->id;
  auto self = shared_from_this();
  out_.save_version_for(world, "backup " + name_, [self, world](Result<http::VersionInfo> made) {
    if (!made) return self->end(made.error());
    self->version_ = made->id;
    self->out_.gather_content(world, made->id, [self](Result<std::unique_ptr<PinsGather>> gather) {
      if (!gather) return self->end(gather.error());
      self->copy_world(*std::move(gather));
    });
  });
}

void BackupJob::copy_world(std::unique_ptr<PinsGather> gather) {
  const std::shared_ptr<PinsGather> found = std::move(gather);
  auto self = shared_from_this();
  // Whatever comes of it, the version goes.
  const bool asked = node_.workers->submit(self_, [self, found]() -> WorkerPool::Done {
    return [self, outcome = self->write_world(*found)] {
      self->out_.remove_version(self->worlds_[self->at_]->id, self->version_, [self, outcome](Status removed) {
        if (!outcome || !removed) return self->end(outcome ? removed : outcome);
        ++self->at_;
        self->next_world();
      });
    };
  });
  if (!asked) end(Error{ErrorCode::overloaded, "the server has more file work waiting than it takes on; try again"});
}

Status BackupJob::write_world(const PinsGather& gather) {
  const map::World& world = *worlds_[at_];
  const std::string folder = fmt::format("worlds/{}/", world.id.value);
  if (Status added = writer_->add_text(folder + "world.json", formats::world_to_json(world)); !added) return added;
  const std::string versions = node_.versions.to_json_without(world.id, version_);
  if (Status added = writer_->add_text(folder + "versions.json", versions); !added) return added;
  std::uint64_t done = 0;
  for (const PinsGather::Shard& shard : gather.found) {
    if (!shard.content) continue;
    maintenance::ShardImage image{{world.id, shard.position.x, shard.position.y},
                                  shard.content->lsn,
                                  shard.content->top,
                                  shard.content->pins,
                                  shard.content->aux};
    const std::string path = fmt::format("{}{}_{}.shard", folder, shard.position.x, shard.position.y);
    if (Status added = writer_->add_shard(path, shard.path, image); !added) return added;
    node_.backups.progress(++done, total_);
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
  return writer_->finish();
}

void BackupJob::finish() {
  work([this] { return write_assets(); }, [this] { end({}); });
}

}  // namespace terrazzo::app

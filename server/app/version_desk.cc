#include "server/app/version_desk.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "map/coords.h"

namespace terrazzo::app {
namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error busy() {
  return {ErrorCode::overloaded, "the server has more file work waiting than it takes on; try again in a moment"};
}

}  // namespace

void VersionDesk::ask(std::unique_ptr<VersionAsk> ask) {
  waiting_.push_back(std::move(ask));
  if (!running_) next();
}

void VersionDesk::next() {
  if (waiting_.empty()) return;
  running_ = std::move(waiting_.front());
  waiting_.pop_front();
  switch (running_->kind) {
    case VersionAsk::Kind::save:
      return save();
    case VersionAsk::Kind::remove:
      return remove();
    case VersionAsk::Kind::restore:
      return restore();
    case VersionAsk::Kind::other:
      return running_->begin();
  }
}

void VersionDesk::exclusively(std::function<void()> begin) {
  auto other = std::make_unique<VersionAsk>();
  other->kind = VersionAsk::Kind::other;
  other->world = world_;
  other->begin = std::move(begin);
  ask(std::move(other));
}

void VersionDesk::release() {
  TZ_ASSERT(running_ && running_->kind == VersionAsk::Kind::other);
  running_.reset();
  next();
}

void VersionDesk::finish(Result<NamedVersion> result) {
  out_.answer(std::move(running_), std::move(result));
  next();
}

void VersionDesk::write(std::function<void(Status)> then) {
  const bool asked = node_.workers->submit(self_, [this, then]() -> WorkerPool::Done {
    return [then, written = node_.data->write_versions(world_, node_.versions.to_json(world_))] { then(written); };
  });
  if (!asked) then(busy());
}

// ---- saving ----

// Written down first: whatever happens afterwards, recovery knows of every version that a log record may name.
void VersionDesk::save() {
  Result<NamedVersion> decided =
      node_.versions.decide(world_, running_->name, running_->author, now_ms(), running_->temporary);
  if (!decided) return finish(decided.error());
  version_ = *std::move(decided);
  write([this](Status written) {
    if (!written) {
      node_.versions.withdraw(world_, version_.id);
      return finish(written.error());
    }
    missing_ = node_.cores;
    out_.hold(world_);
  });
}

void VersionDesk::held() {
  if (--missing_ > 0) return;
  // A shard that is opened from now on takes it by itself; no core applies edits before it has cut.
  node_.versions.commit(world_, version_.id);
  missing_ = node_.cores;
  durable_ = true;
  out_.cut(world_, version_.id);
}

void VersionDesk::hold_failed(const Error& why) {
  node_.versions.withdraw(world_, version_.id);
  finish(why);
}

void VersionDesk::cut_done(bool durable) {
  durable_ = durable_ && durable;
  if (--missing_ > 0) return;
  if (durable_) return finish(version_);
  finish(Error{ErrorCode::read_only,
               "the version is taken, but a core's log failed, so that not all of it may survive a restart"});
}

// ---- deleting and going back ----

void VersionDesk::remove() {
  const Result<NamedVersion> found = node_.versions.get(world_, running_->id);
  if (!found) return finish(found.error());
  version_ = *found;
  if (Status removed = node_.versions.remove(world_, running_->id); !removed) return finish(removed.error());
  write([this](Status written) {
    // Not written, it would be there again after a restart, and its pages must be, too; a temporary one would not.
    if (!written && !version_.temporary) {
      node_.versions.bring_back(world_, version_.id);
      return finish(written.error());
    }
    out_.drop(world_, version_.id);
    finish(version_);
  });
}

void VersionDesk::restore() {
  const Result<NamedVersion> found = node_.versions.get(world_, running_->id);
  if (!found) return finish(found.error());
  version_ = *found;
  const bool asked = node_.workers->submit(self_, [this]() -> WorkerPool::Done {
    const Result<std::vector<io::ShardFile>> files = node_.data->list_shards(world_);
    if (!files) return [this, error = files.error()] { finish(error); };
    std::vector<map::ShardPos> shards;
    for (const io::ShardFile& file : *files) shards.push_back({file.x, file.y});
    return [this, shards] { submit_restore(shards); };
  });
  if (!asked) finish(busy());
}

void VersionDesk::submit_restore(std::vector<map::ShardPos> shards) {
  const std::shared_ptr<const map::World> world = node_.worlds.find(world_);
  if (!world) return finish(Error{ErrorCode::not_found, "the world is gone"});
  // An edit over several shards comes before this one in all of them or in none, also where it makes the shard.
  for (const map::ShardPos decided : out_.decided_shards(world_))
    if (std::ranges::find(shards, decided) == shards.end()) shards.push_back(decided);
  auto request = std::make_unique<shard::CoordinatedRequest>();
  session_ = out_.name_session();
  request->world = world_;
  request->origin.session = session_;
  request->origin.core = self_;
  request->id = EditId{1};
  for (const map::ShardPos position : shards) {
    auto part = std::make_unique<shard::EditRequest>();
    part->shard = {world_, position};
    part->origin = request->origin;
    part->edit.id = request->id;
    part->restore.emplace();
    part->restore->from = storage::PinKind::version;
    part->restore->id = version_.id;
    for (const map::Layer& layer : world->layers)
      if (layer.kind == map::LayerKind::tile) part->restore->areas.push_back({layer.id, map::cells_of(position)});
    if (!part->restore->areas.empty()) request->parts.push_back(std::move(part));
  }
  parts_left_ = request->parts.size();
  if (parts_left_ == 0) return finish(version_);  // nothing was ever painted
  out_.submit(std::move(request));
}

bool VersionDesk::outcome(const shard::EditOutcome& outcome) {
  if (parts_left_ == 0 || outcome.origin.session != session_) return false;
  if (outcome.stage == shard::EditOutcome::Stage::rejected) {
    parts_left_ = 0;
    finish(*outcome.error);
    return true;
  }
  if (--parts_left_ == 0) finish(version_);
  return true;
}

}  // namespace terrazzo::app

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

}  // namespace

void VersionDesk::ask(std::unique_ptr<VersionAsk> ask) {
  waiting_.push_back(std::move(ask));
  next();
}

// Not by recursion: many that are refused at once may wait behind a long one.
void VersionDesk::next() {
  if (std::exchange(choosing_, true)) return;
  while (!running_ && !waiting_.empty()) {
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    begin();
  }
  choosing_ = false;
}

void VersionDesk::begin() {
  if (line_of(running_->world) != 0 && !node_.branches.get(running_->world))
    return finish(Error{ErrorCode::not_found, "there is no such branch (any more)"});
  switch (running_->kind) {
    case VersionAsk::Kind::save:
      return save();
    case VersionAsk::Kind::remove:
      return remove();
    case VersionAsk::Kind::restore:
      return restore();
    case VersionAsk::Kind::branch:
      return branch();
    case VersionAsk::Kind::drop_branch:
      return drop_branch();
    case VersionAsk::Kind::merged:
      return merged();
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

void VersionDesk::finish(Result<catalog::NamedVersion> result) {
  out_.answer(std::move(running_), std::move(result));
  next();
}

void VersionDesk::write(WorldId world, std::function<void(Status)> then) {
  const bool asked = node_.workers->submit(self_, [this, world, then]() -> WorkerPool::Done {
    return [then, written = node_.data->write_versions(world, node_.versions.to_json(world))] { then(written); };
  });
  if (!asked) then(WorkerPool::busy());
}

void VersionDesk::write_branches(const catalog::NamedBranch& branch, std::function<void(Status)> then) {
  const bool asked = node_.workers->submit(self_, [this, world = branch.world, then]() -> WorkerPool::Done {
    return [then, written = node_.data->write_branches(world, node_.branches.to_json(world))] { then(written); };
  });
  if (!asked) then(WorkerPool::busy());
}

// ---- saving ----

// Written down first: whatever happens afterwards, recovery knows of every version that a log record may name.
void VersionDesk::save() {
  Result<catalog::NamedVersion> decided =
      node_.versions.decide(running_->world, running_->name, running_->author, now_ms(), running_->temporary);
  if (!decided) return finish(decided.error());
  version_ = *std::move(decided);
  write(running_->world, [this](Status written) {
    if (!written) {
      node_.versions.withdraw(running_->world, version_.id);
      return finish(written.error());
    }
    missing_ = node_.cores;
    out_.hold(running_->world);
  });
}

void VersionDesk::held() {
  if (--missing_ > 0) return;
  missing_ = node_.cores;
  durable_ = true;
  // What all cores were sent is applied or refused by now.
  if (refused_ = out_.undone(running_->world); refused_) {
    node_.versions.withdraw(running_->world, version_.id);
    return out_.cut(running_->world, 0);
  }
  // A shard that is opened from now on takes it by itself; no core applies edits before it has cut.
  node_.versions.commit(running_->world, version_.id);
  out_.cut(running_->world, version_.id);
}

void VersionDesk::hold_failed(const Error& why) {
  node_.versions.withdraw(running_->world, version_.id);
  finish(why);
}

void VersionDesk::cut_done(bool durable) {
  durable_ = durable_ && durable;
  if (--missing_ > 0) return;
  if (refused_) return refuse();
  const bool for_branch = running_->kind == VersionAsk::Kind::branch;
  if (durable_) return for_branch ? branch_from(version_.id) : finish(version_);
  if (for_branch) {
    give_back(running_->world, version_.id);
    return finish(Error{ErrorCode::read_only,
                        "no branch was made: a core's log failed, so that the state it begins at may not survive a "
                        "restart; the server's log tells why, and a restart ends it"});
  }
  finish(Error{ErrorCode::read_only,
               "the version is taken, but a core's log failed, so that not all of it may survive a restart"});
}

void VersionDesk::refuse() {
  // The next start must not find it; if that cannot be written, it is of the state that the start has made whole.
  write(running_->world, [this](Status) {
    finish(Error{ErrorCode::read_only,
                 "an edit over several shards is not in all of them, so that a version would hold a "
                 "part of it: " +
                     std::exchange(refused_, std::nullopt)->message +
                     "; the server completes the edit when it restarts"});
  });
}

// ---- deleting and going back ----

void VersionDesk::remove() {
  const Result<catalog::NamedVersion> found = node_.versions.get(running_->world, running_->id);
  if (!found) return finish(found.error());
  version_ = *found;
  if (const auto branch = node_.branches.began_at(running_->world, running_->id))
    return finish(
        Error{ErrorCode::conflict, "the branch \"" + branch->name + "\" began at this version: drop it first"});
  // A part that a shard could not take yet may go back to this version.
  if (const auto undone = out_.undone(running_->world); undone && !version_.temporary)
    return finish(Error{ErrorCode::read_only,
                        "an edit over several shards is not in all of them, and may be one that goes back to this "
                        "version: " +
                            undone->message + "; the server completes the edit when it restarts"});
  if (Status removed = node_.versions.remove(running_->world, running_->id); !removed) return finish(removed.error());
  write(running_->world, [this](Status written) {
    // Not written, it would be there again after a restart, and its pages must be, too; a temporary one would not.
    if (!written && !version_.temporary) {
      node_.versions.bring_back(running_->world, version_.id);
      // It may be on disk as deleted, and only not for certain.
      return write(running_->world, [this, why = written.error()](const Status&) { finish(why); });
    }
    node_.versions.removed(running_->world, version_.id);
    out_.drop(running_->world, version_.id);
    finish(version_);
  });
}

// A temporary version that nobody needs any more; should it not go now, it counts as deleted after a restart.
void VersionDesk::give_back(WorldId world, std::uint64_t version) {
  if (!node_.versions.remove(world, version)) return;
  node_.versions.removed(world, version);
  out_.drop(world, version);
}

void VersionDesk::restore() {
  const Result<catalog::NamedVersion> found = node_.versions.get(running_->world, running_->id);
  if (!found) return finish(found.error());
  version_ = *found;
  const bool asked = node_.workers->submit(self_, [this]() -> WorkerPool::Done {
    const Result<std::vector<io::ShardFile>> files = node_.data->list_shards(world_);
    if (!files) return [this, error = files.error()] { finish(error); };
    std::vector<map::ShardPos> shards;
    for (const io::ShardFile& file : *files) shards.push_back({file.x, file.y});
    return [this, shards] { submit_restore(shards); };
  });
  if (!asked) finish(WorkerPool::busy());
}

void VersionDesk::submit_restore(std::vector<map::ShardPos> shards) {
  const std::shared_ptr<const map::World> world = node_.worlds.find(running_->world);
  if (!world) return finish(Error{ErrorCode::not_found, "the world is gone"});
  // An edit over several shards comes before this one in all of them or in none, also where it makes the shard.
  for (const map::ShardPos decided : out_.decided_shards(running_->world))
    if (std::ranges::find(shards, decided) == shards.end()) shards.push_back(decided);
  auto request = std::make_unique<shard::CoordinatedRequest>();
  session_ = out_.name_session();
  request->world = running_->world;
  request->origin.session = session_;
  request->origin.core = self_;
  request->id = EditId{1};
  for (const map::ShardPos position : shards) {
    auto part = std::make_unique<shard::EditRequest>();
    part->shard = {running_->world, position};
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

// ---- branches ----

void VersionDesk::branch() {
  if (running_->id != 0) {
    const Result<catalog::NamedVersion> found = node_.versions.get(running_->world, running_->id);
    return found ? branch_from(found->id) : finish(found.error());
  }
  // Before anybody's edits wait for the cut.
  if (Status free = node_.branches.check_free(running_->world, running_->name); !free) return finish(free.error());
  running_->temporary = true;
  save();
}

// The version is there and on disk; now whatever happens, the branch is there as soon as it is written down.
void VersionDesk::branch_from(std::uint64_t version) {
  const bool own = running_->id == 0;
  const std::shared_ptr<const map::World> main = node_.worlds.find(world_);
  Result<catalog::NamedBranch> decided =
      node_.branches.decide(running_->world, running_->name, running_->author, now_ms(), version, own);
  if (decided && (!main || node_.worlds.find(main->name + "@" + running_->name))) {
    node_.branches.withdraw(*decided);
    decided = Error{ErrorCode::already_exists, "there is a world \"" + (main ? main->name : "") + "@" + running_->name +
                                                   "\": choose another name for the branch"};
  }
  const auto give_up = [this, own, version](const Error& why) {
    if (own) give_back(running_->world, version);
    finish(why);
  };
  if (!decided) return give_up(decided.error());
  const auto world = std::make_shared<map::World>(*main);
  world->id = decided->world;
  world->name = main->name + "@" + decided->name;
  // What an earlier branch of this id has left is not this one's.
  node_.versions.forget(decided->world);
  write(decided->world, [this, branch = *decided, world, give_up](Status written) {
    const auto then = [this, branch, world, give_up](Status done) {
      if (done) done = node_.worlds.add(world);
      if (!done) {
        node_.branches.withdraw(branch);
        // It may be on disk under its name, and only not for certain.
        return write_branches(branch, [give_up, why = done.error()](const Status&) { give_up(why); });
      }
      node_.branches.commit(branch);
      finish(catalog::NamedVersion{branch.number, branch.name, branch.author, branch.created_ms});
    };
    written ? write_branches(branch, then) : then(written);
  });
}

void VersionDesk::drop_branch() {
  const catalog::NamedBranch branch = *node_.branches.get(running_->world);
  if (Status removed = node_.branches.remove(branch); !removed) return finish(removed.error());
  // Looked at after the removal: a backup that begins now does not find the branch any more.
  if (node_.backups.is_copied(main_world(branch.world))) {
    node_.branches.bring_back(branch);
    return finish(Error{ErrorCode::conflict,
                        "a backup is copying this world, its branches included; drop the branch "
                        "when it is done: GET /v1/backups tells how far it is"});
  }
  write_branches(branch, [this, branch](Status written) {
    if (!written) {
      node_.branches.bring_back(branch);
      // Likewise; people go on in it, and the next start must not take it for dropped.
      return write_branches(branch, [this, why = written.error()](const Status&) { finish(why); });
    }
    node_.branches.removed(branch);
    node_.worlds.remove(branch.world);
    out_.drop_branch(branch);
    drop_origin(branch);
  });
}

// The version takes the place of the one at which it was merged before.
void VersionDesk::merged() {
  const Result<catalog::NamedVersion> version = node_.versions.get(running_->world, running_->id);
  const std::optional<catalog::NamedBranch> branch = node_.branches.get(running_->world);
  if (!version || !branch) return finish(Error{ErrorCode::not_found, "the branch was dropped"});
  node_.branches.set_merged(branch->world, version->id);
  write_branches(*branch, [this, branch = *branch, version = *version](Status written) {
    if (!written) {
      node_.branches.set_merged(branch.world, branch.merged);
      return write_branches(branch, [this, why = written.error()](const Status&) { finish(why); });
    }
    if (branch.merged != 0) give_back(branch.world, branch.merged);
    finish(version);
  });
}

void VersionDesk::drop_origin(const catalog::NamedBranch& branch) {
  const catalog::NamedVersion gone{branch.number, branch.name, branch.author, branch.created_ms};
  const bool asked =
      node_.workers->submit(self_, [data = node_.data.get(), world = branch.world]() -> WorkerPool::Done {
        static_cast<void>(data->remove_versions(world));  // a later branch of this id writes it anew
        return {};
      });
  static_cast<void>(asked);
  if (!branch.own_origin || !node_.versions.remove(branch.parent, branch.origin)) return finish(gone);
  // Not written, it counts as deleted after a restart all the same: it is a temporary one.
  write(branch.parent, [this, branch, gone](const Status&) {
    node_.versions.removed(branch.parent, branch.origin);
    out_.drop(branch.parent, branch.origin);
    finish(gone);
  });
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

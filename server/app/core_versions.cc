// Named versions on one core: holding edits back while a world is cut, taking and dropping versions in its shards, and
// what HTTP asks of them.
#include <algorithm>
#include <utility>

#include "base/canary.h"
#include "server/app/core_services.h"
#include "server/app/version_diff.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {
namespace {

runtime::MeshMessage about(MeshKind kind, WorldId world, std::uint64_t first = 0, std::uint64_t second = 0) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(kind);
  message.words[0] = world.value;
  message.words[1] = first;
  message.words[2] = second;
  return message;
}

Error log_failed() {
  return {ErrorCode::read_only,
          "the write-ahead log of the core that orders this world's edits failed; restart the server"};
}

}  // namespace

VersionDesk& CoreServices::desk(WorldId world) {
  std::unique_ptr<VersionDesk>& found = desks_[main_world(world)];
  if (!found)
    found = std::make_unique<VersionDesk>(node_, main_world(world), self_, static_cast<VersionDeskOutput&>(*this));
  return *found;
}

void CoreServices::deliver_version(const runtime::MeshMessage& message) {
  const WorldId world{message.words[0]};
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::version_ask: {
      auto ask = unboxed<VersionAsk>(message);
      VersionDesk& at = desk(ask->world);
      return at.ask(std::move(ask));
    }
    case MeshKind::version_answer: {
      const auto answer = unboxed<VersionAnswer>(message);
      return answer->ask->done(std::move(answer->result));
    }
    case MeshKind::hold:
      held_[world].edits_held = true;
      held_[world].tell = static_cast<shard::CoreId>(message.words[1]);
      return answer_holds();
    case MeshKind::held:
      return desk(world).held();
    case MeshKind::cut:
      return take_cut(world, message.words[2], static_cast<shard::CoreId>(message.words[1]));
    case MeshKind::cut_done:
      return desk(world).cut_done(message.words[1] != 0);
    case MeshKind::drop_version:
      return drop_in_shards(world, message.words[2]);
    case MeshKind::drop_branch:
      return drop_line(world, static_cast<storage::HeadId>(message.words[1]));
    case MeshKind::pins:
      return gather_pins(unboxed<PinsGather>(message));
    default:
      TZ_ASSERT(false);
  }
}

// ---- the cut ----

bool CoreServices::held_back(const runtime::MeshMessage& message) {
  const auto keep = [&](WorldId world, bool Held::*when, std::vector<runtime::MeshMessage> Held::*where) {
    const auto found = held_.find(world);
    if (found == held_.end() || !(found->second.*when)) return false;
    (found->second.*where).push_back(message);
    return true;
  };
  if (message.kind == static_cast<std::uint32_t>(MeshKind::edit)) {
    const auto* request = reinterpret_cast<const shard::EditRequest*>(message.words[0]);
    return keep(request->shard.world, &Held::edits_held, &Held::edits);
  }
  if (message.kind == static_cast<std::uint32_t>(MeshKind::coordinate)) {
    const auto* request = reinterpret_cast<const shard::CoordinatedRequest*>(message.words[0]);
    return keep(request->world, &Held::coordinated_held, &Held::coordinated);
  }
  return false;
}

void CoreServices::hold(WorldId world) {
  Held& held = held_[world];
  held.coordinated_held = held.hold_asked = true;
  on_log_durable_versions();
}

void CoreServices::answer_holds() {
  for (auto& [world, held] : held_) {
    const bool parked = std::ranges::any_of(parked_, [&](const auto& part) { return part->shard.world == world; });
    const bool waits = (parked || lobby_.edits_wait(world)) && !canary::is(canary::Bug::version_between_parts);
    if (!held.tell || waits) continue;
    post(*held.tell, about(MeshKind::held, world));
    held.tell.reset();
  }
}

void CoreServices::on_log_durable_versions() {
  std::vector<WorldId> failed;
  for (auto& [world, held] : held_) {
    if (!held.hold_asked) continue;
    const auto coordinator = coordinators_.find(world);
    if (coordinator == coordinators_.end() || coordinator->second->all_forwarded()) {
      held.hold_asked = false;
      for (int core = 0; core < node_.cores; ++core)
        post(static_cast<shard::CoreId>(core), about(MeshKind::hold, world, self_));
    } else if (log_.failed()) {
      failed.push_back(world);
    }
  }
  for (const WorldId world : failed) {
    const auto held = held_.extract(world);
    for (const runtime::MeshMessage& message : held.mapped().coordinated) deliver(message);
    desk(world).hold_failed(log_failed());
  }
  std::erase_if(cuts_, [&](const Cut& cut) {
    const bool durable = cut.sequence <= log_.durable_sequence();
    if (!durable && !log_.failed()) return false;
    post(cut.tell, about(MeshKind::cut_done, cut.world, durable ? 1 : 0));
    return true;
  });
}

void CoreServices::cut(WorldId world, std::uint64_t version) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), about(MeshKind::cut, world, self_, version));
}

void CoreServices::take_cut(WorldId world, std::uint64_t version, shard::CoreId tell) {
  shards_.for_each([&](ShardSlot& slot) {
    shard::Shard* const line = version == 0 ? nullptr : slot.shard->find(world);
    if (line != nullptr) line->take_version(version);
  });
  cuts_.push_back({world, log_.appended_sequence(), tell});
  // At once: what the same sessions sent later must not overtake it.
  if (const auto held = held_.extract(world); !held.empty()) {
    for (const runtime::MeshMessage& message : held.mapped().coordinated) deliver(message);
    for (const runtime::MeshMessage& message : held.mapped().edits) deliver(message);
  }
  on_log_durable_versions();
}

void CoreServices::drop(WorldId world, std::uint64_t version) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), about(MeshKind::drop_version, world, self_, version));
}

void CoreServices::drop_in_shards(WorldId world, std::uint64_t version) {
  shards_.for_each([&](ShardSlot& slot) {
    if (shard::Shard* const line = slot.shard->find(world)) line->drop_version(version);
  });
}

std::vector<map::ShardPos> CoreServices::decided_shards(WorldId world) {
  const auto& shards = coordinator(world).shards();
  std::vector<map::ShardPos> sorted(shards.begin(), shards.end());
  std::ranges::sort(sorted, {}, [](map::ShardPos at) { return std::pair(at.y, at.x); });
  return sorted;
}

void CoreServices::drop_branch(const catalog::NamedBranch& branch) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), about(MeshKind::drop_branch, branch.world, branch.number));
}

void CoreServices::drop_line(WorldId branch, storage::HeadId number) {
  coordinators_.erase(branch);
  claim_desks_.erase(branch);
  std::erase_if(parked_, [&](const auto& part) { return part->shard.world == branch; });
  shards_.for_each([&](ShardSlot& slot) {
    if (slot.shard->key().world != main_world(branch)) return;
    current_ = &slot;
    slot.shard->drop_branch(number, *this);
    current_ = nullptr;
  });
  home_.world_gone(branch);
  undo_desk_.world_gone(branch);
  for (auto each = swap_edits_.begin(); each != swap_edits_.end();) {
    auto next = std::next(each);
    if (each->second.world() == branch)
      swap_edits_.extract(each).mapped().finish(Error{ErrorCode::not_found, "the branch was dropped"});
    each = next;
  }
}

void CoreServices::submit(std::unique_ptr<shard::CoordinatedRequest> request) {
  deliver(boxed(MeshKind::coordinate, std::move(request)));
}

void CoreServices::answer(std::unique_ptr<VersionAsk> ask, Result<catalog::NamedVersion> result) {
  const shard::CoreId to = ask->asked_by;
  post(to, boxed(MeshKind::version_answer, VersionAnswer{std::move(ask), std::move(result)}));
}

// ---- comparing ----

void CoreServices::gather_all(std::unique_ptr<PinsGather> gather) {
  gather->left = gather->shards;
  post(self_, boxed(MeshKind::pins, std::move(gather)));
}

// From owner to owner, as messages to the shards go: one that moves meanwhile is met before it leaves, or waited for.
void CoreServices::gather_pins(std::unique_ptr<PinsGather> gather) {
  std::vector<map::ShardPos>& left = gather->left;
  if (left.empty() && gather->asked_by == self_) {
    auto done = std::move(gather->done);
    return done(std::move(gather));
  }
  std::vector<map::ShardPos> of_others;
  for (auto at = left.begin(); at != left.end(); ++at) {
    const shard::ShardKey key{gather->world, *at};
    if (owners_.owner(key) != self_) {
      of_others.push_back(*at);
      continue;
    }
    // A damaged shard tells whoever reads or edits it; who copies or compares worlds must not leave it out.
    if (const Error* const why = shards_.damage(key)) {
      gather->problem = *why;
      continue;
    }
    ShardSlot* const slot = shards_.find(key);
    if (slot == nullptr) {
      // Comes back when the shard is open, and then begins with it.
      left.erase(left.begin(), at);
      left.insert(left.end(), of_others.begin(), of_others.end());
      return lobby_.admit(key, boxed(MeshKind::pins, std::move(gather)));
    }
    gather_from(*slot, *gather);
  }
  left = std::move(of_others);
  const shard::CoreId next = left.empty() ? gather->asked_by : owners_.owner({gather->world, left.front()});
  post(next, boxed(MeshKind::pins, std::move(gather)));
}

std::optional<shard::ShardContent> CoreServices::content_as_of(ShardSlot& slot, PinsGather& gather) {
  const auto branches = std::span(gather.states).first(gather.states.size() - 1);
  for (const shard::LineVersion& branch : branches) {
    const std::optional<catalog::NamedBranch> known = node_.branches.get(branch.line);
    if (!known || !slot.shard->store() || !slot.shard->store()->has_head(known->number)) continue;
    const shard::Shard* const line = shards_.line(slot, branch.line);
    if (line != nullptr && line->damage()) gather.problem = *line->damage();
  }
  return slot.shard->content_of(gather.states.back().version, branches);
}

void CoreServices::gather_from(ShardSlot& slot, PinsGather& gather) {
  const map::ShardPos position = slot.shard->key().position;
  PinsGather::Shard found{position, node_.data->shard_path(gather.world, position.x, position.y), {}, {}};
  if (gather.with_content) {
    if (const Error* const why = slot.shard->damage()) gather.problem = *why;
    found.content = content_as_of(slot, gather);
    gather.found.push_back(std::move(found));
    return;
  }
  for (const auto& [world, version] : gather.states) {
    // Null: a branch that was dropped meanwhile; whoever compares notices.
    shard::Shard* const line = shards_.line(slot, world);
    if (line != nullptr && gather.release) {
      line->drop_snapshot(gather.snapshot);
    } else if (line != nullptr) {
      if (const Error* const why = line->damage()) gather.problem = *why;
      found.trees.push_back(version == 0 ? line->take_snapshot(gather.snapshot) : line->version_top(version));
    } else {
      found.trees.emplace_back();
    }
  }
  shard::Shard* const line = gather.with_undo_points ? shards_.line(slot, gather.states.front().line) : nullptr;
  if (line != nullptr) found.undo_points = line->undo_points();
  if (!gather.release) return gather.found.push_back(std::move(found));
  const auto before = std::ranges::find(gather.found, position, &PinsGather::Shard::position);
  if (before == gather.found.end()) return;
  for (const storage::PinInfo& point : before->undo_points)
    if (std::ranges::find(found.undo_points, point.id, &storage::PinInfo::id) == found.undo_points.end())
      gather.undo_points_went = true;
}

// ---- backups ----

void CoreServices::pin_world(WorldId world, const std::string& name, std::function<void(Result<std::uint64_t>)> done) {
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = VersionAsk::Kind::save;
  ask->temporary = true;
  ask->world = world;
  ask->name = name;
  ask->author = "server";
  ask->asked_by = self_;
  ask->done = [done](Result<catalog::NamedVersion> made) {
    done(made ? Result<std::uint64_t>(made->id) : Result<std::uint64_t>(made.error()));
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::unpin_world(WorldId world, std::uint64_t version, std::function<void(Status)> done) {
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = VersionAsk::Kind::remove;
  ask->world = world;
  ask->id = version;
  ask->asked_by = self_;
  ask->done = [done](Result<catalog::NamedVersion> removed) { done(removed ? Status() : Status(removed.error())); };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::gather_content(const std::vector<shard::LineVersion>& lines, GatherDone done) {
  const WorldId world = lines.back().line;
  list_shards(world, [this, world, lines, done](Result<std::vector<map::ShardPos>> shards) {
    if (!shards) return done(shards.error());
    auto gather = std::make_unique<PinsGather>();
    gather->world = world;
    gather->states = lines;
    gather->with_content = true;
    gather->shards = *std::move(shards);
    gather->asked_by = self_;
    gather->done = [done](std::unique_ptr<PinsGather> found) {
      if (found->problem) return done(*found->problem);
      done(std::move(found));
    };
    gather_all(std::move(gather));
  });
}

namespace {

// A name is a folder's name.
Status check_backup_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (name.empty() || name.size() > 100 || name.front() == '.' || !std::ranges::all_of(name, allowed))
    return Error{ErrorCode::bad_message,
                 "a backup has a name of 1 to 100 letters, digits, '-', '_' and '.', not beginning with '.'"};
  if (maintenance::is_partial_name(name))
    return Error{ErrorCode::bad_message, "what ends with .partial is no name: unfinished backups are called so"};
  return {};
}

}  // namespace

Status CoreServices::start_backup(std::string name, std::string since) {
  if (const Status fits = check_backup_name(name); !fits) return fits;
  if (!since.empty()) {
    if (const Status fits = check_backup_name(since); !fits) return fits;
  }
  if (!node_.backups.begin(name, since))
    return Error{ErrorCode::conflict, "a backup is running already: GET /v1/backups tells how far it is"};
  std::make_shared<BackupJob>(node_, self_, static_cast<BackupJobOutput&>(*this), std::move(name), std::move(since))
      ->start();
  return {};
}

http::BackupInfo CoreServices::backup() {
  return node_.backups.info();
}

// ---- HTTP ----

namespace {

http::VersionInfo info_of(const catalog::NamedVersion& version) {
  return {version.id, version.name, version.author, version.created_ms};
}

}  // namespace

std::vector<http::VersionInfo> CoreServices::versions(WorldId world) {
  std::vector<http::VersionInfo> all;
  for (const catalog::NamedVersion& version : node_.versions.list(world)) all.push_back(info_of(version));
  return all;
}

void CoreServices::save_version(WorldId world, std::string name, std::string author, VersionDone done) {
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = VersionAsk::Kind::save;
  ask->world = world;
  ask->name = std::move(name);
  ask->author = std::move(author);
  ask->asked_by = self_;
  ask->done = [done](Result<catalog::NamedVersion> made) {
    done(made ? Result<http::VersionInfo>(info_of(*made)) : Result<http::VersionInfo>(made.error()));
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::change_version(WorldId world, std::string_view version, VersionChange change, VersionDone done) {
  const Result<catalog::NamedVersion> found = node_.versions.find(world, version);
  if (!found) return done(found.error());
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = change == VersionChange::remove ? VersionAsk::Kind::remove : VersionAsk::Kind::restore;
  ask->world = world;
  ask->id = found->id;
  ask->asked_by = self_;
  ask->done = [done](Result<catalog::NamedVersion> changed) {
    done(changed ? Result<http::VersionInfo>(info_of(*changed)) : Result<http::VersionInfo>(changed.error()));
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::diff_versions(WorldId world, std::string_view a, std::string_view b, DiffDone done) {
  const auto number = [&](std::string_view version) -> Result<std::uint64_t> {
    if (version == "now") return std::uint64_t{0};
    const Result<catalog::NamedVersion> found = node_.versions.find(world, version);
    return found ? Result<std::uint64_t>(found->id) : Result<std::uint64_t>(found.error());
  };
  const Result<std::uint64_t> from = number(a), to = number(b);
  if (!from) return done(from.error());
  if (!to) return done(to.error());
  if (*from == *to) return done(Error{ErrorCode::bad_message, "a state is compared with another one, not with itself"});
  diff_states({world, *from}, {world, *to}, std::move(done));
}

void CoreServices::gather_trees(std::vector<shard::LineVersion> states, GatherDone done) {
  // Numbered by core and counter, so that no two lookers share a snapshot.
  const std::uint64_t snapshot = std::uint64_t{self_} << 32 | next_snapshot_++;
  const WorldId world = states.front().line;
  list_shards(world, [this, world, states, snapshot, done](Result<std::vector<map::ShardPos>> shards) {
    if (!shards) return done(shards.error());
    auto gather = std::make_unique<PinsGather>();
    gather->world = world;
    gather->states = states;
    gather->snapshot = snapshot;
    gather->shards = *std::move(shards);
    gather->asked_by = self_;
    gather->done = [done](std::unique_ptr<PinsGather> found) { done(std::move(found)); };
    gather_all(std::move(gather));
  });
}

void CoreServices::release_trees(PinsGather gather) {
  gather.release = true;
  gather.done = [](std::unique_ptr<PinsGather>) {};
  gather_all(std::make_unique<PinsGather>(std::move(gather)));
}

bool CoreServices::all_there(const PinsGather& gather) const {
  return std::ranges::all_of(gather.states, [&](const shard::LineVersion& state) {
    return node_.worlds.find(state.line) && (state.version == 0 || node_.versions.get(state.line, state.version).ok());
  });
}

void CoreServices::diff_states(const shard::LineVersion& a, const shard::LineVersion& b, DiffDone done) {
  gather_trees({a, b}, [this, done](Result<std::unique_ptr<PinsGather>> found) {
    found ? compare(*std::move(found), done) : done(found.error());
  });
}

// Trees of versions stay as they are unless somebody deletes the version meanwhile; that is noticed afterwards.
void CoreServices::compare(std::unique_ptr<PinsGather> gather, const DiffDone& done) {
  const std::shared_ptr<PinsGather> found = std::move(gather);
  const auto finished = [this, found, done](Result<std::vector<http::ShardDiff>> diffs) {
    if (found->problem) diffs = *found->problem;
    if (!all_there(*found))
      diffs = Error{ErrorCode::not_found, "one of the states was deleted while they were being compared"};
    release_trees(std::move(*found));
    done(std::move(diffs));
  };
  const bool asked = node_.workers->submit(self_, [found, finished]() -> WorkerPool::Done {
    return [finished, diffs = diff_shards(found->found)] { finished(diffs); };
  });
  if (!asked) finished(WorkerPool::busy());
}

}  // namespace terrazzo::app

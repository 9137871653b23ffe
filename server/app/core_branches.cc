// What HTTP asks of a world's branches; making and dropping them is the version desk's.
#include "server/app/core_services.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {

http::BranchInfo CoreServices::branch_info(const catalog::NamedBranch& branch) const {
  const std::shared_ptr<const map::World> parent = node_.worlds.find(branch.parent);
  const Result<catalog::NamedVersion> origin = node_.versions.get(branch.parent, branch.origin);
  return {branch.name,
          branch.world,
          branch.author,
          branch.created_ms,
          parent ? parent->name : std::string(),
          branch.own_origin || !origin ? std::string() : origin->name};
}

std::vector<http::BranchInfo> CoreServices::branches(WorldId world) {
  std::vector<http::BranchInfo> all;
  for (const catalog::NamedBranch& branch : node_.branches.list(world)) all.push_back(branch_info(branch));
  return all;
}

void CoreServices::make_branch(WorldId world, std::string name, std::string_view version, std::string author,
                               BranchDone done) {
  if (const Status fits = catalog::BranchRegistry::check_name(name); !fits) return done(fits.error());
  auto ask = std::make_unique<VersionAsk>();
  if (!version.empty()) {
    const Result<catalog::NamedVersion> found = node_.versions.find(world, version);
    if (!found) return done(found.error());
    ask->id = found->id;
  }
  ask->kind = VersionAsk::Kind::branch;
  ask->world = world;
  ask->name = name;
  ask->author = std::move(author);
  ask->asked_by = self_;
  ask->done = [this, world, name, done](Result<catalog::NamedVersion> made) {
    if (!made) return done(made.error());
    const Result<catalog::NamedBranch> branch = node_.branches.find(world, name);
    done(branch ? Result<http::BranchInfo>(branch_info(*branch)) : Result<http::BranchInfo>(branch.error()));
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::drop_branch(WorldId world, std::string_view name, BranchDone done) {
  const Result<catalog::NamedBranch> found = node_.branches.find(world, name);
  if (!found) return done(found.error());
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = VersionAsk::Kind::drop_branch;
  ask->world = found->world;
  ask->asked_by = self_;
  ask->done = [info = branch_info(*found), done](const Result<catalog::NamedVersion>& dropped) {
    done(dropped ? Result<http::BranchInfo>(info) : Result<http::BranchInfo>(dropped.error()));
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

void CoreServices::diff_branch(WorldId world, std::string_view name, bool with_origin, DiffDone done) {
  const Result<catalog::NamedBranch> found = node_.branches.find(world, name);
  if (!found) return done(found.error());
  const shard::LineVersion with =
      with_origin ? shard::LineVersion{found->parent, found->origin} : shard::LineVersion{main_world(world), 0};
  diff_states({found->world, 0}, with, std::move(done));
}

// ---- merging ----

void CoreServices::merge_branch(WorldId world, std::string_view name, http::MergeAsk ask,
                                std::string_view authorization, MergeDone done) {
  const Result<catalog::NamedBranch> found = node_.branches.find(world, name);
  if (!found) return done(found.error());
  const Result<session::Identity> identity = identify(authorization);
  if (!identity) return done(identity.error());
  shard::Origin origin;
  origin.session = new_session();
  origin.core = self_;
  origin.user = origin.claimant = user_id(*identity, ask.name);
  std::make_shared<MergeJob>(node_, static_cast<MergeJobOutput&>(*this), *found, std::move(ask), origin, time_us(),
                             std::move(done))
      ->start();
}

void CoreServices::submit_swaps(std::vector<std::unique_ptr<shard::EditRequest>> parts, SwapEdit::Done done) {
  swap_edits_.emplace(parts.front()->origin.session, SwapEdit(parts.front()->shard.world, parts.size(), std::move(done)));
  if (parts.size() == 1) return edit(std::move(parts.front()));
  auto whole = std::make_unique<shard::CoordinatedRequest>();
  whole->world = parts.front()->shard.world;
  whole->origin = parts.front()->origin;
  whole->id = parts.front()->edit.id;
  whole->parts = std::move(parts);
  coordinate(std::move(whole));
}

void CoreServices::note_merged(WorldId branch, std::uint64_t version, std::function<void(Status)> done) {
  auto ask = std::make_unique<VersionAsk>();
  ask->kind = VersionAsk::Kind::merged;
  ask->world = branch;
  ask->id = version;
  ask->asked_by = self_;
  ask->done = [done](const Result<catalog::NamedVersion>& noted) { done(noted ? Status() : Status(noted.error())); };
  post(shard::coordinator_core(branch, node_.cores), boxed(MeshKind::version_ask, std::move(ask)));
}

}  // namespace terrazzo::app

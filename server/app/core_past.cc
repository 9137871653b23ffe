// Looking back on one core: states and the log that tells how they came about, and what is made of that.
#include <algorithm>
#include <utility>

#include "server/app/core_services.h"
#include "server/app/past_cells.h"
#include "server/app/revert_plan.h"

namespace terrazzo::app {
namespace {

// Tickets of the undo desk have 32 bits.
constexpr std::uint64_t kOwnTicket = std::uint64_t{1} << 63;

}  // namespace

// ---- logs ----

void CoreServices::sync_all_logs(std::function<void(bool)> done) {
  const std::uint64_t ticket = kOwnTicket | next_log_sync_++;
  log_syncs_[ticket] = {node_.cores, false, std::move(done)};
  sync_logs(ticket);
}

void CoreServices::log_synced(std::uint64_t ticket, bool failed) {
  if ((ticket & kOwnTicket) == 0) return undo_desk_.logs_synced(ticket, failed);
  const auto found = log_syncs_.find(ticket);
  TZ_ASSERT(found != log_syncs_.end());
  found->second.failed = found->second.failed || failed;
  if (--found->second.missing != 0) return;
  const LogSync ended = std::move(log_syncs_.extract(found).mapped());
  ended.done(ended.failed);
}

// ---- looking ----

void CoreServices::look_back(PastLook look) {
  const auto shared = std::make_shared<PastLook>(std::move(look));
  list_shards(shared->states.front().line, [this, shared](Result<std::vector<map::ShardPos>> shards) {
    if (!shards) return shared->done(shards.error());
    const map::Rect wanted = map::shards_of(shared->area.value_or(map::kPlane));
    std::erase_if(*shards, [&](map::ShardPos at) { return !wanted.contains(map::CellPos{at.x, at.y}); });
    gather_past(shared, *std::move(shards));
  });
}

// First the states, then the log: it is to have everything that they show.
void CoreServices::gather_past(const std::shared_ptr<PastLook>& look, std::vector<map::ShardPos> shards) {
  auto gather = std::make_unique<PinsGather>();
  gather->world = look->states.front().line;
  gather->states = look->states;
  gather->snapshot = std::uint64_t{self_} << 32 | next_snapshot_++;
  gather->shards = std::move(shards);
  gather->with_undo_points = true;
  gather->asked_by = self_;
  gather->done = [this, look](std::unique_ptr<PinsGather> gathered) {
    const std::shared_ptr<PinsGather> found = std::move(gathered);
    sync_all_logs([this, look, found](bool failed) {
      if (failed) {
        found->problem = Error{ErrorCode::read_only,
                               "the write-ahead log of a core failed, so that nobody knows what was done; restart the "
                               "server"};
      }
      look_on_worker(look, found);
    });
  };
  gather_all(std::move(gather));
}

void CoreServices::look_on_worker(const std::shared_ptr<PastLook>& look, const std::shared_ptr<PinsGather>& found) {
  if (found->problem) return looked_back(look, found, false);
  const bool asked = node_.workers->submit(self_, [this, look, found]() -> WorkerPool::Done {
    const bool used_points = look->look(*found);
    return [this, look, found, used_points] { looked_back(look, found, used_points); };
  });
  if (asked) return;
  found->problem = WorkerPool::busy();
  looked_back(look, found, false);
}

// What was pinned is let go, and what was not must still be there.
void CoreServices::looked_back(const std::shared_ptr<PastLook>& look, const std::shared_ptr<PinsGather>& found,
                               bool used_points) {
  PinsGather release = std::move(*found);
  const std::optional<Error> problem = std::exchange(release.problem, std::nullopt);
  const bool there = all_there(release);
  release.release = true;
  release.done = [look, problem, there, used_points](const std::unique_ptr<PinsGather>& released) {
    if (problem) return look->done(*problem);
    if (!there)
      return look->done(Error{ErrorCode::not_found, "the branch or version was deleted while it was being looked at"});
    if (used_points && released->undo_points_went) {
      return look->done(Error{ErrorCode::overloaded,
                              "so many large edits came meanwhile that what was looked at is gone; try again"});
    }
    look->done({});
  };
  gather_all(std::make_unique<PinsGather>(std::move(release)));
}

// ---- cells of the past ----

void CoreServices::cells(WorldId world, http::CellsAsk ask, CellsDone done) {
  const auto metadata = node_.worlds.find(world);
  const bool tiles = metadata && std::ranges::any_of(metadata->layers, [&](const map::Layer& layer) {
                       return layer.id == ask.layer && layer.kind == map::LayerKind::tile;
                     });
  if (!tiles) {
    return done(Error{ErrorCode::not_found,
                      "the world has no tile layer " + std::to_string(ask.layer) + ": its metadata lists its layers"});
  }
  std::uint64_t version = 0;
  if (!ask.version.empty() && ask.version != "now") {
    const Result<catalog::NamedVersion> found = node_.versions.find(world, ask.version);
    if (!found) return done(found.error());
    version = found->id;
  }
  if (ask.at_us)
    if (const Status kept = reaches_back(world, *ask.at_us); !kept) return done(kept.error());
  const auto found = std::make_shared<Result<PastCells>>(PastCells{});
  PastLook look;
  look.states = {{world, version}};
  look.area = ask.area;
  look.look = [this, ask, found](const PinsGather& now) {
    *found = cells_of_past(*node_.data, now, ask.layer, ask.area, ask.at_us);
    return found->ok() && (*found)->used_undo_points;
  };
  look.done = [this, world, ask, found, done](const Status& looked) {
    if (!looked) return done(looked.error());
    if (!*found) return done(found->error());
    // What was read may have gone while it was read.
    if (ask.at_us)
      if (const Status kept = reaches_back(world, *ask.at_us); !kept) return done(kept.error());
    done(std::move((*found)->cells));
  };
  look_back(std::move(look));
}

Status CoreServices::reaches_back(WorldId world, std::uint64_t time_us) const {
  std::uint64_t since_us = node_.reach.since_us();
  const char* why = "the history that is kept";
  if (const auto branch = line_of(world) == 0 ? std::nullopt : node_.branches.get(world)) {
    const auto began_us = static_cast<std::uint64_t>(std::max<std::int64_t>(branch->created_ms, 0)) * 1000;
    if (began_us > since_us) why = "the branch";
    since_us = std::max(since_us, began_us);
  }
  if (time_us >= since_us) return {};
  return Error{ErrorCode::not_found,
               std::string(why) + " begins at " + time_text(since_us) + " (at_ms=" +
                   std::to_string((since_us + 999) / 1000) +
                   "), and this is before: ask for a later time, or for a saved version"};
}

// ---- reverting ----

void CoreServices::revert(WorldId world, http::RevertAsk ask, std::string_view authorization, RevertDone done) {
  const Result<session::Identity> identity = identify(authorization);
  if (!identity) return done(identity.error());
  const bool own = identity->proven && ask.user == identity->user;
  if (!ask.by_owner && !own) {
    return done(Error{ErrorCode::forbidden,
                      "only an owner can revert what others did: an editor says \"user\": his own name"});
  }
  std::optional<UserId> user;
  if (ask.user) user = user_number(identity->proven, *ask.user);
  shard::Origin origin;
  origin.session = new_session();
  origin.core = self_;
  origin.user = origin.claimant = user_id(*identity, ask.name);
  const auto plan = std::make_shared<Result<RevertPlan>>(RevertPlan{});
  PastLook look;
  look.states = {{world, 0}};
  look.area = ask.area;
  look.look = [this, ask = std::move(ask), user, plan](const PinsGather& found) {
    *plan = plan_revert(*node_.data, found, ask, user);
    if (!*plan) return false;
    for (http::RevertInfo::Author& author : (*plan)->info.authors) author.name = node_.user_names.name_of(author.user);
    return (*plan)->used_undo_points;
  };
  look.done = [this, plan, origin, done](const Status& looked) {
    if (!looked) return done(looked.error());
    if (!*plan) return done(plan->error());
    apply_revert(*std::move(*plan), origin, done);
  };
  look_back(std::move(look));
}

void CoreServices::apply_revert(RevertPlan plan, const shard::Origin& origin, const RevertDone& done) {
  plan.info.done = !plan.preview;
  if (plan.parts.empty()) return done(std::move(plan.info));
  const std::uint64_t now_us = time_us();
  for (const auto& part : plan.parts) {
    part->origin = origin;
    part->edit.id = EditId{1};
    part->time_us = now_us;
  }
  submit_swaps(std::move(plan.parts), [info = std::move(plan.info), done](const Result<std::uint64_t>& left) mutable {
    if (!left) return done(left.error());
    info.left = *left;
    info.cells -= std::min(info.cells, info.left);
    done(std::move(info));
  });
}

}  // namespace terrazzo::app

// Claims: what passes between homes, the desk of a world (shard/claim_desk.h) and the owners of its shards.
#include <algorithm>
#include <limits>
#include <utility>

#include "server/app/core_services.h"
#include "server/runtime/clock.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {

shard::ClaimLimits claim_limits(const Config& config) {
  constexpr std::uint64_t kNsPerMs = 1'000'000;
  shard::ClaimLimits limits;
  limits.claims_max = config.claims_per_user;
  limits.cells_max = config.claim_cells_max;
  limits.ttl_max_ns = config.claim_ttl_max_s * runtime::kNsPerSecond;
  limits.grace_ns = config.claim_grace_ms * kNsPerMs;
  return limits;
}

void CoreServices::deliver_claim(const runtime::MeshMessage& message) {
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::claim_ask:
      return take_claim_request(*unboxed<shard::ClaimRequest>(message));
    case MeshKind::claim_part:
      return lobby_.admit(boxed_in<shard::ClaimPart>(message).shard, message);
    case MeshKind::claim_part_done: {
      const auto part = unboxed<shard::ClaimPart>(message);
      // Of a branch that was dropped there is no desk any more.
      const auto desk = claim_desks_.find(part->shard.world);
      if (desk != claim_desks_.end()) desk->second->part_done(*part, runtime::monotonic_ns(), *this);
      return;
    }
    case MeshKind::claim_note:
      return home_.claim_note(shared_in<shard::ClaimNote>(message));
    case MeshKind::claim_answer:
      return home_.claim_answer(*unboxed<shard::ClaimAnswer>(message));
    case MeshKind::claim_query:
      return answer_query(unboxed<ClaimQuery>(message));
    case MeshKind::claim_queried: {
      const auto query = unboxed<ClaimQuery>(message);
      return query->done(*query);
    }
    default:
      TZ_ASSERT(false);
  }
}

void CoreServices::take_claim_request(const shard::ClaimRequest& request) {
  using Kind = shard::ClaimRequest::Kind;
  if (line_of(request.world) != 0 && !node_.branches.get(request.world)) return;  // who has it open is sent away
  auto desk = claim_desks_.find(request.world);
  if (desk == claim_desks_.end()) {
    if (request.kind == Kind::look || request.kind == Kind::lost) return;
    desk = claim_desks_
               .emplace(request.world, std::make_unique<shard::ClaimDesk>(request.world, claim_limits(node_.config)))
               .first;
  }
  desk->second->request(request, coordinated(request.world), runtime::monotonic_ns(), *this);
}

const shard::ClaimTable* CoreServices::claims_in(WorldId world) const {
  const auto desk = claim_desks_.find(world);
  return desk == claim_desks_.end() ? nullptr : &desk->second->table();
}

shard::ClaimDesk::Coordinated CoreServices::coordinated(WorldId world) const {
  const auto found = coordinators_.find(world);
  // What a log that failed has not made durable never goes out.
  if (found == coordinators_.end() || log_.failed()) return {};
  return {found->second->newest(), found->second->oldest_unsent()};
}

void CoreServices::tell_claims_sent() {
  for (auto& [world, desk] : claim_desks_) desk->sent(coordinated(world), *this);
}

void CoreServices::tick_claims(std::uint64_t now_ns) {
  for (auto& [world, desk] : claim_desks_) desk->tick(now_ns, *this);
}

std::uint64_t CoreServices::next_claim_ns() const {
  std::uint64_t next = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [world, desk] : claim_desks_) next = std::min(next, desk->next_tick_ns());
  return next;
}

void CoreServices::take_claim_part(ShardSlot& slot, std::unique_ptr<shard::ClaimPart> part) {
  shard::Shard* const line = shards_.line(slot, part->shard.world);
  if (part->on) {
    line->claims().add(part->claim);
  } else {
    line->claims().remove(part->claim->serial);
  }
  answer_claim_part(std::move(part));
}

void CoreServices::answer_claim_part(std::unique_ptr<shard::ClaimPart> part) {
  const shard::CoreId to = shard::coordinator_core(part->shard.world, node_.cores);
  post(to, boxed(MeshKind::claim_part_done, std::move(part)));
}

// ---- http::ApiServices ----

void CoreServices::answer_query(std::unique_ptr<ClaimQuery> query) {
  if (const auto desk = claim_desks_.find(query->world); desk != claim_desks_.end()) {
    if (query->end) query->ended = desk->second->end(query->end->first, query->end->second, *this);
    query->standing = desk->second->standing(runtime::monotonic_ns());
  }
  const shard::CoreId to = query->asked_by;
  post(to, boxed(MeshKind::claim_queried, std::move(query)));
}

void CoreServices::claims(WorldId world, ClaimsDone done) {
  ClaimQuery query;
  query.world = world;
  query.asked_by = self_;
  query.done = [done = std::move(done)](const ClaimQuery& answer) {
    std::vector<http::ClaimInfo> all;
    for (const shard::SharedClaimNote& note : answer.standing) {
      const shard::Claim& claim = *note->claim;
      all.push_back({claim.session, claim.number.value, claim.name, claim.rect, claim.listed, note->ttl_ms});
    }
    done(all);
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::claim_query, std::move(query)));
}

void CoreServices::break_claim(WorldId world, SessionId session, std::uint32_t claim, Done done) {
  ClaimQuery query;
  query.world = world;
  query.asked_by = self_;
  query.end = {session, ClaimId{claim}};
  query.done = [session, claim, done = std::move(done)](const ClaimQuery& answer) {
    if (answer.ended) return done({});
    done(Error{ErrorCode::not_found, "session " + std::to_string(session.value) + " has no claim " +
                                         std::to_string(claim) + " in this world"});
  };
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::claim_query, std::move(query)));
}

// ---- shard::ClaimOutput ----

void CoreServices::claim_part(std::unique_ptr<shard::ClaimPart> part) {
  const shard::CoreId owner = owners_.owner(part->shard);
  post(owner, boxed(MeshKind::claim_part, std::move(part)));
}

void CoreServices::claim_note(shard::SharedClaimNote note) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), shared(MeshKind::claim_note, note));
}

void CoreServices::claim_answer(std::unique_ptr<shard::ClaimAnswer> answer) {
  const shard::CoreId home = answer->origin.core;
  post(home, boxed(MeshKind::claim_answer, std::move(answer)));
}

bool CoreServices::is_there(SessionId session) const {
  return node_.sessions.has(session);
}

// ---- session::SessionOutput ----

void CoreServices::claim(std::unique_ptr<shard::ClaimRequest> request) {
  const shard::CoreId desk = shard::coordinator_core(request->world, node_.cores);
  post(desk, boxed(MeshKind::claim_ask, std::move(request)));
}

}  // namespace terrazzo::app

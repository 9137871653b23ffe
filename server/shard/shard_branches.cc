// A shard's branches: lines of edits in the same store.
#include <fmt/format.h>

#include <algorithm>

#include "server/shard/shard_state.h"

namespace terrazzo::shard {

Shard* Shard::find(WorldId world) {
  if (world == state_->key.world) return this;
  for (const auto& branch : state_->branches)
    if (branch->state_->key.world == world) return branch.get();
  return nullptr;
}

Shard& Shard::add_branch(const BranchInfo& info) {
  State& s = *state_;
  TZ_ASSERT(s.trunk == nullptr && find(info.world) == nullptr && find(info.parent) != nullptr);
  s.branches.push_back(std::unique_ptr<Shard>(new Shard(std::make_unique<State>(s, info))));
  if (s.store) s.branches.back()->state_->attach();
  return *s.branches.back();
}

void Shard::State::attach_branches() {
  // Parents come before their branches.
  for (const auto& each : branches) {
    each->state_->born = each->state_->version;
    each->state_->attach();
  }
}

void Shard::State::attach() {
  if (!trunk->store->has_head(own_branch.head)) {
    const Result<storage::PinInfo> origin = trunk->of_world(own_branch.parent).state_at(own_branch.origin);
    if (!origin) {
      damage = origin.error();
      return become_read_only(origin.error());
    }
    const Status added = trunk->store->add_branch(own_branch.head, *origin);
    TZ_ASSERT(added.ok());
  }
  head = storage::Head(*trunk->store, own_branch.head);
  durable = head.lsn();
  if (const auto kept = trunk->left_aside.extract(own_branch.head); !kept.empty()) {
    std::span<const std::byte> bytes = *kept.mapped();
    if (const Status read = read_own_aux(bytes); !read) become_read_only(read.error());
  }
}

Shard::State& Shard::State::of_world(WorldId of) {
  return of == key.world
             ? *this
             : *(*std::ranges::find(branches, of, [](const auto& b) { return b->state_->key.world; }))->state_;
}

Result<storage::PinInfo> Shard::State::state_at(std::uint64_t of) {
  // During recovery: all its records are replayed, and none of them was of a later time.
  reach_version(of);
  if (head && of > born)
    if (const storage::PinInfo* pin = head.find_pin(storage::PinKind::version, of)) return *pin;
  if (of <= born) return storage::PinInfo{};
  return Error{
      ErrorCode::internal,
      fmt::format("{}, shard {},{}, does not hold version {}, at which a branch began; restore the shard's file "
                  "from a backup",
                  name_of_line(key.world), key.position.x, key.position.y, of)};
}

void Shard::drop_branch(storage::HeadId number, ShardOutput& out) {
  State& s = *state_;
  const auto found =
      std::ranges::find(s.branches, number, [](const auto& branch) { return branch->state_->own_branch.head; });
  if (found != s.branches.end()) {
    State& gone = *(*found)->state_;
    for (const State::Waiting& waiting : gone.waiting) {
      EditOutcome outcome = gone.outcome_of(waiting, EditOutcome::Stage::rejected);
      outcome.error = Error{ErrorCode::not_found, "the branch was dropped"};
      out.outcome(std::move(outcome));
    }
    s.counters += (*found)->counters();
    s.branches.erase(found);
  }
  s.left_aside.erase(number);
  if (!s.store || !s.store->has_head(number)) return;
  const Status dropped = s.store->drop_branch(number);
  TZ_ASSERT(dropped.ok());
}

std::vector<storage::HeadId> Shard::keep_branches(std::span<const storage::HeadId> there_are) {
  State& s = *state_;
  std::vector<storage::HeadId> gone;
  if (!s.store) return gone;
  for (const storage::HeadId number : s.store->branches()) {
    if (std::ranges::find(there_are, number) != there_are.end()) continue;
    s.left_aside.erase(number);
    const Status dropped = s.store->drop_branch(number);
    TZ_ASSERT(dropped.ok());
    gone.push_back(number);
  }
  return gone;
}

}  // namespace terrazzo::shard

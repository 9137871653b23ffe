#include "server/shard/coordinator.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/canary.h"
#include "server/shard/log_record.h"

namespace terrazzo::shard {
namespace {

struct EditNameHash {
  std::size_t operator()(const EditName& name) const noexcept {
    return std::hash<SessionId>{}(name.author) ^ (std::hash<EditId>{}(name.edit) >> 7);
  }
};

// As many decided edits are remembered for being recognised: far more than all sessions' edits in flight.
constexpr std::size_t kRemembered = 65536;
// Connections of one author, one after another, while one edit is under way.
constexpr std::size_t kCopiesMax = 8;

std::vector<SharedClaim> in_the_way(const ClaimTable& claims, const CoordinatedRequest& request) {
  std::vector<SharedClaim> others;
  for (const auto& part : request.parts)
    for (SharedClaim& claim : claims.in_the_way(request.origin.claimant, *part))
      if (std::ranges::find(others, claim) == others.end()) others.push_back(std::move(claim));
  return others;
}

}  // namespace

struct Coordinator::State {
  WorldId world;
  std::uint64_t last = 0;
  std::optional<Error> read_only;

  // From submission until every part is in its own shard's log on disk: until then recovery needs the whole edit.
  struct Running {
    std::unique_ptr<CoordinatedRequest> request;  // null once the parts are out
    Origin origin;
    std::vector<Origin> copies_from;  // other connections of the author that sent it, too
    WorldId world;
    EditId edit;
    std::uint64_t sequence = 0;
    std::size_t to_apply = 0, to_sync = 0;  // parts
    std::vector<EditOutcome> applied;       // of parts
    std::optional<Error> failed;
    bool answered() const { return to_apply == 0; }
  };
  std::map<std::uint64_t, Running> running;  // by number
  std::unordered_map<EditName, std::uint64_t, EditNameHash> numbers;
  std::deque<EditName> remembered;
  std::unordered_set<map::ShardPos> shards;

  void remember(const EditName& name, std::uint64_t number) {
    if (!numbers.emplace(name, number).second) return;
    remembered.push_back(name);
    if (remembered.size() <= kRemembered) return;
    numbers.erase(remembered.front());
    remembered.pop_front();
  }
  void forward_parts(Running& entry, ShardOutput& out) {
    for (std::unique_ptr<EditRequest>& part : entry.request->parts) out.forward(std::move(part));
    entry.request.reset();
  }
  void answer(const Running& entry, ShardOutput& out);
  static void answer(const Running& entry, const Origin& to, ShardOutput& out);
};

Coordinator::Coordinator(WorldId world, Incarnation incarnation) : state_(new State) {
  state_->world = world;
  state_->last = incarnation.value << 32;
}
Coordinator::~Coordinator() = default;

void Coordinator::submit(std::unique_ptr<CoordinatedRequest> request, ShardOutput& out, const ClaimTable* claims) {
  State& s = *state_;
  const EditName name{request->origin.session, request->id};
  const auto known = s.numbers.find(name);
  const bool again = known != s.numbers.end();
  if (again) {
    const auto running = s.running.find(known->second);
    if (running != s.running.end()) {  // its author came back on a new connection
      State::Running& entry = running->second;
      // Not instead of the one before: that may be the newer, whose copy came over a faster core. Who is gone is not
      // told.
      if (entry.copies_from.size() == kCopiesMax) entry.copies_from.erase(entry.copies_from.begin());
      entry.copies_from.push_back(request->origin);
      if (entry.answered()) s.answer(entry, out);
      return;
    }
  } else if (std::optional<Error> why = s.read_only ? s.read_only : out.busy()) {
    EditOutcome refused;
    refused.origin = request->origin;
    refused.world = request->world;
    refused.edit = request->id;
    refused.stage = EditOutcome::Stage::rejected;
    refused.error = *std::move(why);
    return out.outcome(std::move(refused));
  } else if (claims != nullptr && !claims->empty()) {
    std::vector<SharedClaim> others = in_the_way(*claims, *request);
    if (!others.empty()) {
      EditOutcome refused;
      refused.origin = request->origin;
      refused.edit = request->id;
      refused.stage = EditOutcome::Stage::rejected;
      refused.error = claimed_error(others);
      refused.claims = std::move(others);
      return out.outcome(std::move(refused));
    }
  }
  const std::uint64_t number = again ? known->second : ++s.last;
  for (const auto& part : request->parts) {
    part->coordinated = number;
    part->parts = static_cast<std::uint32_t>(request->parts.size());
  }
  State::Running& entry = s.running[number];
  entry.origin = request->origin;
  entry.world = s.world;
  entry.edit = request->id;
  entry.to_apply = entry.to_sync = request->parts.size();
  entry.request = std::move(request);
  if (again) return s.forward_parts(entry, out);  // the shards recognise it and answer where they are
  s.remember(name, number);
  for (const auto& part : entry.request->parts) s.shards.insert(part->shard.position);
  if (canary::is(canary::Bug::told_before_logged)) return s.forward_parts(entry, out);
  std::vector<std::byte> payload;
  encode_coordinated(*entry.request, payload);
  entry.sequence = out.log({storage::RecordKind::coordinated, {s.world, 0, 0}, Lsn{number}, payload});
  if (canary::is(canary::Bug::decided_before_logged)) s.forward_parts(entry, out);
}

void Coordinator::log_durable(std::uint64_t sequence, ShardOutput& out) {
  for (auto& [number, entry] : state_->running)
    if (entry.request && entry.sequence <= sequence) state_->forward_parts(entry, out);
}

void Coordinator::part_outcome(const EditOutcome& outcome, ShardOutput& out) {
  const auto found = state_->running.find(outcome.coordinated);
  if (found == state_->running.end()) return;
  State::Running& entry = found->second;
  if (outcome.stage == EditOutcome::Stage::durable) {
    if (--entry.to_sync == 0) state_->running.erase(found);
    return;
  }
  entry.applied.push_back(outcome);
  // A part that was refused never becomes durable, so the entry stays and the log with it, for the next recovery.
  if (outcome.stage == EditOutcome::Stage::rejected) entry.failed = outcome.error;
  if (--entry.to_apply == 0) state_->answer(entry, out);
}

void Coordinator::State::answer(const Running& entry, ShardOutput& out) {
  answer(entry, entry.origin, out);
  for (const Origin& origin : entry.copies_from) answer(entry, origin, out);
}

void Coordinator::State::answer(const Running& entry, const Origin& to, ShardOutput& out) {
  EditOutcome outcome;
  outcome.origin = to;
  outcome.world = entry.world;
  outcome.edit = entry.edit;
  if (entry.failed) {
    outcome.stage = EditOutcome::Stage::rejected;
    outcome.error =
        Error{entry.failed->code, "the edit is decided and on disk, but a shard could not take its part yet: " +
                                      entry.failed->message + "; the server completes it when it restarts"};
    return out.outcome(std::move(outcome));
  }
  outcome.stage = EditOutcome::Stage::durable;
  for (const EditOutcome& part : entry.applied) {
    outcome.mark = part.mark;
    outcome.restored = part.restored;
    outcome.skipped = part.skipped;
    out.outcome(outcome);
  }
}

void Coordinator::read_only(const Error& why) {
  if (!state_->read_only) state_->read_only = why;
}

bool Coordinator::all_forwarded() const {
  return std::ranges::none_of(state_->running, [](const auto& entry) { return entry.second.request != nullptr; });
}

std::uint64_t Coordinator::newest() const {
  return state_->last;
}

std::uint64_t Coordinator::oldest_unsent() const {
  const auto unsent =
      std::ranges::find_if(state_->running, [](const auto& entry) { return entry.second.request != nullptr; });
  return unsent == state_->running.end() ? std::numeric_limits<std::uint64_t>::max() : unsent->first;
}

std::optional<Error> Coordinator::undone() const {
  for (const auto& [number, entry] : state_->running)
    if (entry.failed) return entry.failed;
  return std::nullopt;
}

const std::unordered_set<map::ShardPos>& Coordinator::shards() const {
  return state_->shards;
}

std::uint64_t Coordinator::oldest_needed() const {
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [number, entry] : state_->running)
    if (entry.sequence != 0) oldest = std::min(oldest, entry.sequence);
  return oldest;
}

}  // namespace terrazzo::shard

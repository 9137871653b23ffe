#include "server/shard/claim_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace terrazzo::shard {
namespace {

constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kNsPerMs = 1'000'000;

LayerSet set_of(const std::vector<map::LayerId>& layers) {
  LayerSet set;
  for (const map::LayerId layer : layers) set.set(layer);
  return layers.empty() ? set.set() : set;
}

}  // namespace

proto::ServerMessage message_of(const ClaimNote& note) {
  if (note.over) return proto::Released{note.claim->session, note.claim->number, note.reason};
  return proto::Claimed{message_of(*note.claim), note.ttl_ms};
}

ClaimCounters& ClaimCounters::operator+=(const ClaimCounters& more) {
  made += more.made;
  renewed += more.renewed;
  refused += more.refused;
  expired += more.expired;
  left += more.left;
  broken += more.broken;
  return *this;
}

struct ClaimDesk::State {
  enum class Stage : std::uint8_t { waiting, beginning, in_force, ending };
  struct Entry {
    SharedClaim claim;
    Stage stage = Stage::waiting;
    std::uint64_t after = 0;  // waiting: for this edit over shards, and those before
    std::uint64_t ttl_ns = 0;
    std::uint64_t expires_ns = kNever;
    std::uint64_t leaves_ns = kNever;  // unless its session has come back by then
    std::size_t missing = 0;           // owners that have not answered what was sent last
    proto::ReleaseReason reason = proto::ReleaseReason::released;
    SessionId asked;             // who ended it
    Origin origin;               // who claimed
    std::optional<Error> error;  // it could not begin everywhere
  };

  WorldId world;
  ClaimLimits limits;
  std::uint64_t last_serial = 0;
  std::vector<Entry> entries;
  ClaimTable table;  // of all, from when they are decided until no owner holds them any more
  std::uint64_t due_ns = kNever;
  ClaimCounters counters;

  Entry* find(SessionId session, ClaimId number) {
    const auto found = std::ranges::find_if(entries, [&](const Entry& entry) {
      return entry.claim->session == session && entry.claim->number == number && entry.stage != Stage::ending;
    });
    return found == entries.end() ? nullptr : &*found;
  }
  void look_at(std::uint64_t time_ns) { due_ns = std::min(due_ns, time_ns); }

  void claim(const ClaimRequest& request, const Coordinated& edits, std::uint64_t now_ns, ClaimOutput& out);
  void renew(Entry& entry, const ClaimRequest& request, std::uint64_t now_ns, ClaimOutput& out);
  std::optional<Error> too_much(const ClaimRequest& request) const;
  void release(const ClaimRequest& request, ClaimOutput& out);
  void look(const ClaimRequest& request, std::uint64_t now_ns, ClaimOutput& out) const;
  void refuse(const ClaimRequest& request, Error why, std::vector<SharedClaim> claims, ClaimOutput& out);
  void send_parts(Entry& entry, bool on, ClaimOutput& out);
  void begin_end(Entry& entry, proto::ReleaseReason reason, SessionId asked, ClaimOutput& out);
  void ended(const Entry& entry, ClaimOutput& out);
  // What is left of the time of one that is in force.
  SharedClaimNote note(const Entry& entry, std::uint64_t now_ns) const;
};

ClaimDesk::ClaimDesk(WorldId world, const ClaimLimits& limits) : state_(new State) {
  state_->world = world;
  state_->limits = limits;
}
ClaimDesk::~ClaimDesk() = default;

const ClaimTable& ClaimDesk::table() const {
  return state_->table;
}
const ClaimCounters& ClaimDesk::counters() const {
  return state_->counters;
}
std::uint64_t ClaimDesk::next_tick_ns() const {
  return state_->due_ns;
}

void ClaimDesk::request(const ClaimRequest& request, const Coordinated& edits, std::uint64_t now_ns, ClaimOutput& out) {
  switch (request.kind) {
    case ClaimRequest::Kind::claim:
      return state_->claim(request, edits, now_ns, out);
    case ClaimRequest::Kind::release:
      return state_->release(request, out);
    case ClaimRequest::Kind::look:
      return state_->look(request, now_ns, out);
    case ClaimRequest::Kind::lost:
      for (State::Entry& entry : state_->entries) {
        if (entry.claim->session != request.origin.session) continue;
        entry.leaves_ns = now_ns + state_->limits.grace_ns;
        state_->look_at(entry.leaves_ns);
      }
  }
}

// ---- claiming ----

void ClaimDesk::State::refuse(const ClaimRequest& request, Error why, std::vector<SharedClaim> claims,
                              ClaimOutput& out) {
  ++counters.refused;
  if (claims.size() > ClaimLimits::kConflictsNamed) claims.resize(ClaimLimits::kConflictsNamed);
  out.claim_answer(
      std::make_unique<ClaimAnswer>(ClaimAnswer{request.origin, request.number, std::move(why), std::move(claims)}));
}

std::optional<Error> ClaimDesk::State::too_much(const ClaimRequest& request) const {
  if (const std::uint64_t shards = map::shards_of(request.rect).area(); shards > ClaimLimits::kShardsMax) {
    return Error{ErrorCode::too_large,
                 fmt::format("the claim reaches over {} shards (of 8192×8192 cells); at most {}: claim several parts",
                             shards, ClaimLimits::kShardsMax)};
  }
  std::uint64_t count = 1, cells = request.rect.area();
  for (const Entry& entry : entries) {
    if (entry.claim->user != request.origin.claimant || entry.stage == Stage::ending) continue;
    ++count;
    cells += entry.claim->rect.area();
  }
  if (count > limits.claims_max) {
    return Error{
        ErrorCode::too_large,
        fmt::format("you hold {} claims in this world, and no more are allowed: release one first", limits.claims_max)};
  }
  if (cells > limits.cells_max) {
    return Error{ErrorCode::too_large,
                 fmt::format("your claims in this world would cover {} cells; at most {} together: claim less, or "
                             "release one first",
                             cells, limits.cells_max)};
  }
  if (table.size() >= ClaimLimits::kWorldMax) {
    return Error{ErrorCode::overloaded,
                 fmt::format("this world has {} claims, the most there can be: try again later", table.size())};
  }
  return std::nullopt;
}

void ClaimDesk::State::claim(const ClaimRequest& request, const Coordinated& edits, std::uint64_t now_ns,
                             ClaimOutput& out) {
  if (Entry* const held = find(request.origin.session, request.number)) return renew(*held, request, now_ns, out);
  if (std::optional<Error> why = too_much(request)) return refuse(request, *std::move(why), {}, out);
  const LayerSet layers = set_of(request.layers);
  std::vector<SharedClaim> others;
  table.in_the_way(request.origin.claimant, layers, request.rect, others);
  if (!others.empty()) {
    Error why = claimed_error(others);
    return refuse(request, std::move(why), std::move(others), out);
  }
  boost::intrusive_ptr<Claim> claim(new Claim);
  claim->serial = ++last_serial;
  claim->session = request.origin.session;
  claim->number = request.number;
  claim->user = request.origin.claimant;
  claim->name = request.name;
  claim->rect = request.rect;
  claim->layers = layers;
  claim->listed = request.layers;
  Entry& entry = entries.emplace_back();
  entry.claim = claim;
  entry.after = edits.decided;
  entry.ttl_ns = std::min(request.ttl_ms == 0 ? kNever : request.ttl_ms * kNsPerMs, limits.ttl_max_ns);
  entry.origin = request.origin;
  table.add(std::move(claim));
  if (edits.unsent > entry.after) send_parts(entry, true, out);
}

void ClaimDesk::State::renew(Entry& entry, const ClaimRequest& request, std::uint64_t now_ns, ClaimOutput& out) {
  if (entry.claim->rect != request.rect || entry.claim->layers != set_of(request.layers) ||
      entry.claim->user != request.origin.claimant) {
    return refuse(request,
                  {ErrorCode::conflict, fmt::format("claim {} is of another area: release it first, or take another "
                                                    "number; it stays as it is",
                                                    request.number.value)},
                  {}, out);
  }
  entry.ttl_ns = std::min(request.ttl_ms == 0 ? kNever : request.ttl_ms * kNsPerMs, limits.ttl_max_ns);
  entry.leaves_ns = kNever;
  if (entry.stage != Stage::in_force) return;  // it is told when it is
  ++counters.renewed;
  entry.expires_ns = now_ns + entry.ttl_ns;
  look_at(entry.expires_ns);
  ClaimAnswer answer{request.origin, request.number, {}};
  answer.standing.push_back(note(entry, now_ns));
  out.claim_answer(std::make_unique<ClaimAnswer>(std::move(answer)));
}

void ClaimDesk::State::send_parts(Entry& entry, bool on, ClaimOutput& out) {
  entry.stage = on ? Stage::beginning : Stage::ending;
  const map::Rect shards = map::shards_of(entry.claim->rect);
  entry.missing = shards.area();
  for (std::int64_t y = shards.y0; y < shards.y1; ++y) {
    for (std::int64_t x = shards.x0; x < shards.x1; ++x) {
      auto part = std::make_unique<ClaimPart>();
      part->shard = {world, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}};
      part->claim = entry.claim;
      part->on = on;
      out.claim_part(std::move(part));
    }
  }
}

void ClaimDesk::sent(const Coordinated& edits, ClaimOutput& out) {
  for (State::Entry& entry : state_->entries)
    if (entry.stage == State::Stage::waiting && edits.unsent > entry.after) state_->send_parts(entry, true, out);
}

void ClaimDesk::part_done(const ClaimPart& part, std::uint64_t now_ns, ClaimOutput& out) {
  State& s = *state_;
  const auto found =
      std::ranges::find(s.entries, part.claim->serial, [](const State::Entry& entry) { return entry.claim->serial; });
  if (found == s.entries.end()) return;
  State::Entry& entry = *found;
  if (part.on) {
    if (entry.stage != State::Stage::beginning) return;  // it ends already
    if (part.error) {
      entry.error = part.error;
      return s.begin_end(entry, proto::ReleaseReason::released, {}, out);
    }
    if (--entry.missing != 0) return;
    entry.stage = State::Stage::in_force;
    entry.expires_ns = now_ns + entry.ttl_ns;
    s.look_at(entry.expires_ns);
    ++s.counters.made;
    return out.claim_note(s.note(entry, now_ns));
  }
  TZ_ASSERT(entry.stage == State::Stage::ending && entry.missing > 0);
  if (--entry.missing != 0) return;
  const State::Entry gone = std::move(entry);
  s.entries.erase(found);
  // Not before: of a claim over shards one may have let go and another not, and nobody is told of a new claim there
  // while this one counts for those who were told of it.
  s.table.remove(gone.claim->serial);
  s.ended(gone, out);
}

// ---- ending ----

void ClaimDesk::State::begin_end(Entry& entry, proto::ReleaseReason reason, SessionId asked, ClaimOutput& out) {
  TZ_ASSERT(entry.stage != Stage::ending);
  entry.reason = reason;
  entry.asked = asked;
  entry.expires_ns = entry.leaves_ns = kNever;
  // Also of one that waits: no shard knows it, but the answers come behind what was asked before.
  send_parts(entry, false, out);
}

void ClaimDesk::State::ended(const Entry& entry, ClaimOutput& out) {
  if (entry.error) {
    ++counters.refused;
    out.claim_answer(std::make_unique<ClaimAnswer>(ClaimAnswer{entry.origin, entry.claim->number, entry.error}));
    return;
  }
  boost::intrusive_ptr<ClaimNote> note(new ClaimNote);
  note->world = world;
  note->claim = entry.claim;
  note->over = true;
  note->reason = entry.reason;
  note->asked = entry.asked;
  out.claim_note(std::move(note));
}

void ClaimDesk::State::release(const ClaimRequest& request, ClaimOutput& out) {
  const bool own = request.session.value == 0 || request.session == request.origin.session;
  Entry* const entry = find(own ? request.origin.session : request.session, request.number);
  if (entry == nullptr) {
    const std::string whose = own ? "of this session" : fmt::format("of session {}", request.session.value);
    ClaimAnswer answer{
        request.origin, request.number,
        Error{ErrorCode::not_found, fmt::format("there is no claim {} {}", request.number.value, whose)}};
    answer.of_release = true;
    return out.claim_answer(std::make_unique<ClaimAnswer>(std::move(answer)));
  }
  if (!own) ++counters.broken;
  begin_end(*entry, own ? proto::ReleaseReason::released : proto::ReleaseReason::broken, request.origin.session, out);
}

bool ClaimDesk::end(SessionId session, ClaimId number, ClaimOutput& out) {
  State::Entry* const entry = state_->find(session, number);
  if (entry == nullptr) return false;
  ++state_->counters.broken;
  state_->begin_end(*entry, proto::ReleaseReason::broken, {}, out);
  return true;
}

void ClaimDesk::tick(std::uint64_t now_ns, ClaimOutput& out) {
  State& s = *state_;
  if (now_ns < s.due_ns) return;
  s.due_ns = kNever;
  for (State::Entry& entry : s.entries) {
    if (entry.stage == State::Stage::ending) continue;
    if (entry.leaves_ns <= now_ns && out.is_there(entry.claim->session)) entry.leaves_ns = kNever;
    if (entry.leaves_ns <= now_ns) {
      ++s.counters.left;
      s.begin_end(entry, proto::ReleaseReason::left, {}, out);
    } else if (entry.expires_ns <= now_ns) {
      ++s.counters.expired;
      s.begin_end(entry, proto::ReleaseReason::expired, {}, out);
    }
    s.look_at(std::min(entry.leaves_ns, entry.expires_ns));
  }
}

// ---- what there is ----

SharedClaimNote ClaimDesk::State::note(const Entry& entry, std::uint64_t now_ns) const {
  boost::intrusive_ptr<ClaimNote> note(new ClaimNote);
  note->world = world;
  note->claim = entry.claim;
  const std::uint64_t left_ns = entry.expires_ns > now_ns ? entry.expires_ns - now_ns : 0;
  note->ttl_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(left_ns / kNsPerMs, 0xFFFFFFFFu));
  return note;
}

std::vector<SharedClaimNote> ClaimDesk::standing(std::uint64_t now_ns) const {
  std::vector<SharedClaimNote> all;
  for (const State::Entry& entry : state_->entries)
    if (entry.stage == State::Stage::in_force) all.push_back(state_->note(entry, now_ns));
  return all;
}

void ClaimDesk::State::look(const ClaimRequest& request, std::uint64_t now_ns, ClaimOutput& out) const {
  ClaimAnswer answer{request.origin, {}, {}};
  for (const Entry& entry : entries) {
    // Of one that ends whoever comes now need not know.
    if (entry.stage != Stage::in_force) continue;
    const map::Rect chunks = map::chunks_of(entry.claim->rect);
    if (chunks.intersects(request.area) && !chunks.intersects(request.known))
      answer.standing.push_back(note(entry, now_ns));
  }
  if (!answer.standing.empty()) out.claim_answer(std::make_unique<ClaimAnswer>(std::move(answer)));
}

}  // namespace terrazzo::shard

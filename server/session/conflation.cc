#include "server/session/conflation.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace terrazzo::session {

const Conflation::StaleShard* Conflation::find(map::ShardPos shard) const {
  const auto found = std::ranges::find(stale_, shard, &StaleShard::position);
  return found == stale_.end() ? nullptr : &*found;
}

std::optional<Conflation::StaleShard> Conflation::next(std::uint32_t ticket) {
  TZ_ASSERT(ticket != 0);
  full_ = false;
  if (stale_.empty()) return std::nullopt;
  if (std::ranges::any_of(stale_, [](const StaleShard& s) { return s.ticket != 0; })) return std::nullopt;
  stale_.front().ticket = ticket;
  return stale_.front();
}

bool Conflation::left_out(map::ShardPos shard, Lsn lsn) {
  if (const StaleShard* stale = find(shard)) {
    TZ_ASSERT(stale->since <= lsn);  // an owner publishes in its order
    return false;
  }
  stale_.push_back({shard, lsn, 0});
  return true;
}

bool Conflation::refreshed(map::ShardPos shard, std::uint32_t ticket) {
  const auto found = std::ranges::find(stale_, shard, &StaleShard::position);
  if (found == stale_.end() || ticket == 0 || found->ticket != ticket) return false;
  stale_.erase(found);
  return true;
}

void Conflation::owe_durable(map::ShardPos shard, Lsn lsn) {
  const auto found = std::ranges::find(durable_, shard, &proto::ShardMark::shard);
  if (found == durable_.end()) {
    durable_.push_back({shard, lsn});
  } else {
    found->lsn = std::max(found->lsn, lsn);
  }
}

bool Conflation::owe_presence(SharedNote note) {
  const auto at =
      std::ranges::lower_bound(presence_, note->session, {}, [](const SharedNote& kept) { return kept->session; });
  if (at != presence_.end() && (*at)->session == note->session) {
    *at = std::move(note);
    return true;
  }
  if (presence_.size() >= kPresenceMax) return false;
  presence_.insert(at, std::move(note));
  return true;
}

bool Conflation::owe_claim(shard::SharedClaimNote note) {
  const auto at = std::ranges::find(claims_, note->claim, [](const auto& kept) { return kept->claim; });
  if (at != claims_.end()) {
    *at = std::move(note);
    return true;
  }
  if (claims_.size() >= kPresenceMax) return false;
  claims_.push_back(std::move(note));
  return true;
}

std::vector<shard::SharedClaimNote> Conflation::take_claims() {
  return std::exchange(claims_, {});
}

std::vector<proto::ShardMark> Conflation::take_durable() {
  return std::exchange(durable_, {});
}

std::vector<SharedNote> Conflation::take_presence() {
  return std::exchange(presence_, {});
}

}  // namespace terrazzo::session

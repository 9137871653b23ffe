#include "client-lib/src/sync/claim_book.h"

#include <algorithm>

namespace terrazzo::client {
namespace {

constexpr std::uint64_t kUsPerMs = 1000;
// When the server was too busy for a renewal.
constexpr std::uint64_t kAgainUs = 1'000'000;

}  // namespace

Claim copy_of(const proto::ClaimOf& claim) {
  return {claim.session, claim.claim, std::string(claim.name), claim.rect, {claim.layers.begin(), claim.layers.end()}};
}

void ClaimBook::send(ClaimId claim, Own& own) {
  own.renew_us.reset();  // with the answer
  out_.send(proto::Claim{claim, own.rect, own.layers, own.ttl_ms});
}

ClaimId ClaimBook::claim(const map::Rect& rect, std::span<const map::LayerId> layers, std::uint32_t ttl_ms, bool live) {
  last_ = ClaimId{last_.value + 1};
  Own& own = own_[last_];
  own.rect = rect;
  own.layers.assign(layers.begin(), layers.end());
  own.ttl_ms = ttl_ms;
  if (live) send(last_, own);
  return last_;
}

void ClaimBook::release(ClaimId claim, bool live) {
  if (own_.erase(claim) != 0 && live) out_.send(proto::Release{claim, {}});
}

bool ClaimBook::holds(ClaimId claim) const {
  const auto found = own_.find(claim);
  return found != own_.end() && found->second.held;
}

std::vector<Claim> ClaimBook::claims() const {
  std::vector<Claim> all;
  for (const auto& [name, claim] : seen_) all.push_back(claim);
  return all;
}

void ClaimBook::live() {
  for (auto& [claim, own] : own_) send(claim, own);
}

void ClaimBook::disconnected() {
  for (auto& [claim, own] : own_) {
    own.held = false;
    own.renew_us.reset();
  }
  if (!std::exchange(seen_, {}).empty()) tell(ClaimsChanged{});
}

void ClaimBook::world_replaced() {
  for (const auto& [claim, own] : std::exchange(own_, {})) {
    tell(ClaimRejected{
        claim, {ErrorCode::conflict, "the world that was claimed in is gone; another one is open now"}, {}});
  }
}

void ClaimBook::claimed(const proto::Claimed& message, SessionId self, std::uint64_t now_us) {
  if (seen_.insert_or_assign({message.of.session, message.of.claim}, copy_of(message.of)).second) tell(ClaimsChanged{});
  if (message.of.session != self) return;
  const auto found = own_.find(message.of.claim);
  if (found == own_.end()) return;  // let go meanwhile
  Own& own = found->second;
  own.renew_us = now_us + message.ttl_ms * kUsPerMs / 3;
  if (!std::exchange(own.held, true)) tell(ClaimHeld{message.of.claim, message.ttl_ms});
}

void ClaimBook::released(const proto::Released& message, SessionId self) {
  if (seen_.erase({message.session, message.claim}) != 0) tell(ClaimsChanged{});
  if (message.session == self && own_.erase(message.claim) != 0) tell(ClaimEnded{message.claim, message.reason});
}

void ClaimBook::rejected(const proto::Reject& message, std::uint64_t now_us) {
  const auto found = own_.find(message.claim);
  if (found == own_.end()) return;
  if (found->second.held && (message.code == ErrorCode::rate_limited || message.code == ErrorCode::overloaded)) {
    found->second.renew_us = now_us + kAgainUs;
    return;
  }
  own_.erase(found);
  ClaimRejected event{message.claim, {message.code, std::string(message.message)}, {}};
  for (const proto::ClaimOf& conflict : message.conflicts) event.conflicts.push_back(copy_of(conflict));
  tell(std::move(event));
}

void ClaimBook::tick(std::uint64_t now_us) {
  for (auto& [claim, own] : own_)
    if (own.renew_us && now_us >= *own.renew_us) send(claim, own);
}

void ClaimBook::forget_unseen(const Subscriptions& subscriptions) {
  const std::size_t gone = std::erase_if(
      seen_, [&](const auto& entry) { return !subscriptions.sees_any(map::chunks_of(entry.second.rect)); });
  if (gone != 0) tell(ClaimsChanged{});
}

}  // namespace terrazzo::client

#include "server/app/authenticator.h"

#include <algorithm>
#include <utility>

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
// Beyond it is "never": so long no process lives, and the sum below stays a number.
constexpr std::int64_t kLongestS = 100LL * 365 * 24 * 3600;

}  // namespace

std::unique_ptr<Authenticator> Authenticator::with_keys(std::unique_ptr<KeyStore> keys) {
  auto authenticator = none();
  authenticator->keys_ = std::move(keys);
  return authenticator;
}

Result<session::Identity> Authenticator::authenticate(std::string_view token, std::int64_t now_s,
                                                      std::uint64_t now_ns) {
  if (!keys_) {
    return session::Identity{
        .user = "anyone", .roles = identity::WorldRoles::everywhere(session::Role::owner), .proven = false};
  }
  const std::shared_ptr<const identity::TokenVerifier> verifier = keys_->current();
  auto verdict = verifier->verify(token, now_s);
  if (const auto* refused = std::get_if<identity::RefusedToken>(&verdict)) {
    count(refused->reason);
    return Error{ErrorCode::unauthenticated,
                 refused->message + ": `terrazzo token` makes one for a server of one's own"};
  }
  auto& claims = std::get<identity::TokenClaims>(verdict);
  session::Identity identity{.user = std::move(claims.subject), .roles = std::move(claims.roles)};
  if (claims.expires_s) {
    const std::int64_t left = *claims.expires_s + verifier->policy().leeway_s - now_s;
    if (left < kLongestS)
      identity.ends_ns = now_ns + static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0)) * kNsPerSecond;
  }
  return identity;
}

Authenticator::ByReason Authenticator::refused() const {
  ByReason counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = refused_[i].load(std::memory_order_relaxed);
  return counts;
}

}  // namespace terrazzo::app

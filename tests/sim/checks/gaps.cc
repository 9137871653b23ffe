#include "tests/sim/checks/gaps.h"

#include <fmt/format.h>

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "no silent gap";

}  // namespace

void Gaps::gone(std::uint32_t client) {
  const auto of_client = [&](const auto& entry) { return std::get<0>(entry.first) == client; };
  std::erase_if(stale_, of_client);
  std::erase_if(newest_, of_client);
}

void Gaps::heard(std::uint32_t client, const proto::ServerMessage& message) {
  const auto key = [&](map::ShardPos shard) { return Key{client, shard.x, shard.y}; };
  if (const auto* applied = std::get_if<proto::Applied>(&message)) {
    if (stale_.contains(key(applied->shard)))
      verdict_.fail(kClaim, fmt::format("client {} heard edit {} of shard {},{} while it was left out", client,
                                        applied->lsn.value, applied->shard.x, applied->shard.y));
    newest_[key(applied->shard)] = applied->lsn.value;
  } else if (const auto* stale = std::get_if<proto::Stale>(&message)) {
    if (!stale_.emplace(key(stale->shard), stale->lsn.value).second)
      verdict_.fail(kClaim, fmt::format("client {} was told twice that it is left out", client));
    if (stale->lsn.value <= newest_[key(stale->shard)])
      verdict_.fail(kClaim,
                    fmt::format("client {} is left out from edit {} on, which it has heard", client, stale->lsn.value));
  } else if (const auto* refreshed = std::get_if<proto::Refreshed>(&message)) {
    const auto found = stale_.find(key(refreshed->shard));
    if (found == stale_.end())
      return verdict_.fail(kClaim, fmt::format("client {} was made good without having been left out", client));
    if (refreshed->lsn.value < found->second)
      verdict_.fail(kClaim, fmt::format("client {} was left out from edit {} on and made good up to {}", client,
                                        found->second, refreshed->lsn.value));
    stale_.erase(found);
  }
}

void Gaps::check() const {
  if (stale_.empty()) return;
  verdict_.fail(kClaim, fmt::format("client {} is left out for ever", std::get<0>(stale_.begin()->first)));
}

}  // namespace terrazzo::sim

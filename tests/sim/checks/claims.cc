#include "tests/sim/checks/claims.h"

#include <algorithm>

namespace terrazzo::sim {

std::optional<Tenure::Trespass> Tenure::heard(const proto::Applied& applied) {
  const std::pair shard(applied.shard.x, applied.shard.y);
  if (applied.author == holder_) {
    if (applied.edit >= first_) since_.try_emplace(shard, applied.lsn);
    return std::nullopt;
  }
  const auto since = since_.find(shard);
  if (since == since_.end() || applied.lsn <= since->second) return std::nullopt;
  const bool inside =
      std::ranges::any_of(applied.ops, [&](const map::Op& op) { return !op.rect.intersect(rect_).empty(); });
  return inside ? std::optional(Trespass{{applied.shard, applied.lsn}, applied.author, applied.edit}) : std::nullopt;
}

}  // namespace terrazzo::sim

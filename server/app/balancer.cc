#include "server/app/balancer.h"

#include <algorithm>

namespace terrazzo::app {

std::optional<Balancer::Move> Balancer::decide(std::span<const CoreLoad> cores, std::uint64_t now_ns) {
  for (const CoreLoad& core : cores) {
    if (core.busy < kBusy) {
      busy_since_ns_.erase(core.core);
    } else {
      busy_since_ns_.try_emplace(core.core, now_ns);
    }
  }
  std::erase_if(moved_ns_, [&](const auto& moved) { return now_ns - moved.second >= kSettledNs; });
  if (cores.size() < 2 || (last_ns_ && now_ns - *last_ns_ < kPauseNs)) return std::nullopt;
  const auto [idlest, busiest] = std::ranges::minmax_element(cores, {}, &CoreLoad::busy);
  const auto since = busy_since_ns_.find(busiest->core);
  if (since == busy_since_ns_.end() || now_ns - since->second < kBusyForNs) return std::nullopt;
  if (busiest->busy - idlest->busy < kGap) return std::nullopt;
  const std::optional<Move> move = choose(*busiest, *idlest, now_ns);
  if (!move) return std::nullopt;
  last_ns_ = moved_ns_[move->shard] = now_ns;
  busy_since_ns_.erase(move->from);
  return move;
}

// What a shard takes of its core is its share of the core's work on shards. That is too much rather than too little, as
// sockets take their part: a move that looks good is good.
std::optional<Balancer::Move> Balancer::choose(const CoreLoad& busiest, const CoreLoad& idlest, std::uint64_t now_ns) {
  double all = 0;
  for (const ShardLoad& shard : busiest.shards) all += shard.work_per_s;
  for (const ShardLoad& shard : busiest.shards) {
    if (shard.work_per_s <= 0) break;
    const auto moved = moved_ns_.find(shard.shard);
    if (moved != moved_ns_.end() && now_ns - moved->second < kSettledNs) continue;
    const double takes = busiest.busy * shard.work_per_s / all;
    if (idlest.busy + takes <= busiest.busy - kGain) return Move{shard.shard, busiest.core, idlest.core};
  }
  return std::nullopt;
}

}  // namespace terrazzo::app

#include "server/shard/claim_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace terrazzo::shard {
namespace {

void append_once(const SharedClaim& claim, std::vector<SharedClaim>& out) {
  if (std::ranges::find(out, claim) == out.end()) out.push_back(claim);
}

}  // namespace

proto::ClaimOf message_of(const Claim& claim) {
  return {claim.session, claim.number, claim.name, claim.rect, claim.listed};
}

void ClaimTable::add(SharedClaim claim) {
  const map::Rect rect = claim->rect;
  const UserId user = claim->user;
  entries_.push_back({rect, user, std::move(claim)});
}

void ClaimTable::remove(std::uint64_t serial) {
  const auto found = std::ranges::find(entries_, serial, [](const Entry& entry) { return entry.claim->serial; });
  if (found == entries_.end()) return;
  *found = std::move(entries_.back());
  entries_.pop_back();
}

void ClaimTable::in_the_way(UserId user, map::LayerId layer, const map::Rect& rect,
                            std::vector<SharedClaim>& out) const {
  for (const Entry& entry : entries_)
    if (entry.rect.intersects(rect) && entry.user != user && entry.claim->layers.test(layer))
      append_once(entry.claim, out);
}

void ClaimTable::in_the_way(UserId user, const LayerSet& layers, const map::Rect& rect,
                            std::vector<SharedClaim>& out) const {
  for (const Entry& entry : entries_)
    if (entry.rect.intersects(rect) && entry.user != user && (entry.claim->layers & layers).any())
      append_once(entry.claim, out);
}

std::vector<SharedClaim> ClaimTable::in_the_way(UserId user, const EditRequest& request) const {
  std::vector<SharedClaim> out;
  for (const map::Op& op : request.edit.ops) in_the_way(user, op.layer, op.rect, out);
  for (const Swap& swap : request.swaps) in_the_way(user, swap.layer, swap.rect, out);
  if (request.restore)
    for (const Restore::Area& area : request.restore->areas) in_the_way(user, area.layer, area.rect, out);
  return out;
}

Error claimed_error(std::span<const SharedClaim> claims) {
  const Claim& first = *claims.front();
  std::string message = fmt::format("{} has claimed {}×{} cells at {},{}", first.name.empty() ? "somebody" : first.name,
                                    first.rect.width(), first.rect.height(), first.rect.x0, first.rect.y0);
  if (claims.size() > 1) message += fmt::format(", and {} more are in the way", claims.size() - 1);
  return {ErrorCode::claimed, message + ": edit elsewhere, or wait until it is released"};
}

}  // namespace terrazzo::shard

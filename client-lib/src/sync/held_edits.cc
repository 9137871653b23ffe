#include "client-lib/src/sync/held_edits.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

namespace terrazzo::client {
namespace {

constexpr std::size_t kRejectionsRemembered = 1024;  // as client.h promises

Error too_many_shards(std::uint64_t count) {
  return {ErrorCode::too_large, "the edit touches " + std::to_string(count) + " shards of 8192×8192 cells; at most " +
                                    std::to_string(kShardsPerEditMax) + " are possible: divide it"};
}

}  // namespace

Result<HeldEdit*> HeldEdits::add(EditDraft draft, map::AckMode ack) {
  std::set<map::ShardPos> shards;
  std::optional<map::Rect> bounds;
  for (const map::Op& op : draft.ops()) {
    const map::Rect touched = map::shards_of(op.rect);
    if (touched.area() > kShardsPerEditMax) return too_many_shards(touched.area());
    for (std::int64_t y = touched.y0; y < touched.y1; ++y)
      for (std::int64_t x = touched.x0; x < touched.x1; ++x)
        shards.insert({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
    if (shards.size() > kShardsPerEditMax) return too_many_shards(shards.size());
    if (!bounds) bounds = op.rect;
    bounds = map::Rect{std::min(bounds->x0, op.rect.x0), std::min(bounds->y0, op.rect.y0),
                       std::max(bounds->x1, op.rect.x1), std::max(bounds->y1, op.rect.y1)};
  }
  last_ = EditId{last_.value + 1};
  HeldEdit& edit = table_[last_];
  edit.id = last_;
  edit.ack = ack;
  edit.draft = std::move(draft);
  edit.bounds = bounds.value_or(map::Rect{});
  for (const map::ShardPos shard : shards) edit.parts.push_back({.shard = shard, .lsn = {}, .shown = true});
  return &edit;
}

HeldEdit* HeldEdits::find(EditId id) {
  const auto found = table_.find(id);
  return found == table_.end() ? nullptr : &found->second;
}

void HeldEdits::erase_applied_only(EditId id) {
  applied_only_.insert(id);
  table_.erase(id);
}

void HeldEdits::erase_rejected(EditId id, const Error& error) {
  rejected_.insert(id);
  newest_rejections_.insert_or_assign(id, error);
  if (newest_rejections_.size() > kRejectionsRemembered) newest_rejections_.erase(newest_rejections_.begin());
  table_.erase(id);
}

bool HeldEdits::is_applied(EditId id) const {
  if (id.value == 0 || id > last_ || rejected_.contains(id)) return false;
  const auto held = table_.find(id);
  return held == table_.end() || held->second.applied_told;
}

bool HeldEdits::is_durable(EditId id) const {
  if (id.value == 0 || id > last_ || rejected_.contains(id) || applied_only_.contains(id)) return false;
  const auto held = table_.find(id);
  return held == table_.end() || held->second.durable;
}

std::optional<Error> HeldEdits::rejection(EditId id) const {
  const auto found = newest_rejections_.find(id);
  if (found == newest_rejections_.end()) return std::nullopt;
  return found->second;
}

void HeldEdits::IdRuns::insert(EditId id) {
  if (contains(id)) return;
  const auto after = runs_.upper_bound(id);
  EditId first = id, last = id;
  if (after != runs_.begin() && std::prev(after)->second.value + 1 == id.value) {
    first = std::prev(after)->first;
    runs_.erase(std::prev(after));
  }
  if (after != runs_.end() && after->first.value == id.value + 1) {
    last = after->second;
    runs_.erase(after);
  }
  runs_[first] = last;
}

bool HeldEdits::IdRuns::contains(EditId id) const {
  const auto after = runs_.upper_bound(id);
  return after != runs_.begin() && std::prev(after)->second >= id;
}

}  // namespace terrazzo::client

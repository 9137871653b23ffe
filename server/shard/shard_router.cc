#include "server/shard/shard_router.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/branch_world.h"
#include "map/edit_apply.h"

namespace terrazzo::shard {
namespace {

// The finaliser of MurmurHash3 (Austin Appleby, public domain): neighbouring shards go to different cores.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDull;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return x ^ (x >> 33);
}

// The smallest rectangle of cells around all ops and conditions.
map::Rect bounding_box(const map::Edit& edit) {
  map::Rect box = edit.ops.front().rect;
  const auto include = [&](const map::Rect& r) {
    box = {std::min(box.x0, r.x0), std::min(box.y0, r.y0), std::max(box.x1, r.x1), std::max(box.y1, r.y1)};
  };
  for (const map::Op& op : edit.ops) {
    include(op.rect);
    if (op.kind == map::OpKind::copy) include(map::source_of(op));
  }
  for (const map::Condition& condition : edit.conditions) include(condition.rect);
  return box;
}

std::optional<map::ShardPos> only_shard(const map::Edit& edit) {
  const map::Rect shards = map::shards_of(bounding_box(edit));
  if (shards.area() != 1) return std::nullopt;
  return map::ShardPos{static_cast<std::int32_t>(shards.x0), static_cast<std::int32_t>(shards.y0)};
}

// The ops and conditions inside the shard, clipped and copied into the part's own arena.
void take_share(EditRequest& part, const ShardKey& shard, const Origin& origin, const map::Edit& edit) {
  part.shard = shard;
  part.origin = origin;
  part.edit.id = edit.id;
  part.edit.ack = edit.ack;
  const map::Rect area = map::cells_of(shard.position);
  std::size_t ops = 0, conditions = 0;
  for (const map::Op& op : edit.ops) ops += op.rect.intersects(area) ? 1u : 0u;
  for (const map::Condition& c : edit.conditions) conditions += c.rect.intersects(area) ? 1u : 0u;
  const std::span<map::Op> own_ops = part.arena.allocate_array<map::Op>(ops);
  const std::span<map::Condition> own_conditions = part.arena.allocate_array<map::Condition>(conditions);
  ops = conditions = 0;
  const auto keep = [&](std::span<const map::Cell> clipped, std::span<const map::Cell> original) {
    const bool inside_original =
        !clipped.empty() && clipped.data() >= original.data() && clipped.data() < original.data() + original.size();
    return inside_original ? part.arena.copy(clipped) : clipped;
  };
  for (const map::Op& op : edit.ops) {
    if (!op.rect.intersects(area)) continue;
    own_ops[ops] = map::clip(op, area, part.arena);
    own_ops[ops].cells = keep(own_ops[ops].cells, op.cells);
    ++ops;
  }
  for (const map::Condition& condition : edit.conditions) {
    if (!condition.rect.intersects(area)) continue;
    own_conditions[conditions] = map::clip(condition, area, part.arena);
    own_conditions[conditions].cells = keep(own_conditions[conditions].cells, condition.cells);
    ++conditions;
  }
  part.edit.ops = own_ops;
  part.edit.conditions = own_conditions;
}

}  // namespace

Error too_many_shards(std::uint64_t shards) {
  return {ErrorCode::too_large,
          fmt::format("the edit reaches over {} shards (of 8192×8192 cells); at most {} in one edit", shards,
                      kShardsPerEditMax)};
}

CoreId owner_core(const ShardKey& shard, int cores) {
  const std::uint64_t key = map::position_key(shard.position.x, shard.position.y);
  return static_cast<CoreId>(mixed(mixed(main_world(shard.world).value) ^ key) % static_cast<std::uint64_t>(cores));
}

CoreId coordinator_core(WorldId world, int cores) {
  return owner_core({world, {0, 0}}, cores);
}

std::unique_ptr<EditRequest> edit_of_one_shard(WorldId world, const Origin& origin, const map::Edit& edit,
                                               BlockPool& pool) {
  const auto position = only_shard(edit);
  if (!position) return nullptr;
  std::unique_ptr<EditRequest> request(new (pool) EditRequest);
  take_share(*request, {world, *position}, origin, edit);
  return request;
}

Result<std::vector<std::unique_ptr<EditRequest>>> split_edit(WorldId world, const Origin& origin,
                                                             const map::Edit& edit) {
  TZ_ASSERT(!edit.ops.empty());
  std::vector<std::unique_ptr<EditRequest>> parts;
  if (const auto position = only_shard(edit)) {
    parts.push_back(std::make_unique<EditRequest>());
    take_share(*parts.back(), {world, *position}, origin, edit);
    return parts;
  }
  if (!edit.conditions.empty()) {
    return Error{ErrorCode::unsupported,
                 "conditions are checked within one shard (8192×8192 cells); this edit reaches over several: split it"};
  }
  // The shards each op touches, not those of the box around them: two ops far apart are two shards.
  std::vector<map::ShardPos> positions;
  for (const map::Op& op : edit.ops) {
    const map::Rect touched = map::shards_of(op.rect);
    if (touched.area() > kShardsPerEditMax) return too_many_shards(touched.area());
    for (std::int64_t y = touched.y0; y < touched.y1; ++y)
      for (std::int64_t x = touched.x0; x < touched.x1; ++x)
        positions.push_back({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
  }
  std::ranges::sort(positions, {}, [](map::ShardPos p) { return std::pair(p.y, p.x); });
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  if (positions.size() > kShardsPerEditMax) return too_many_shards(positions.size());
  for (const map::ShardPos position : positions) {
    parts.push_back(std::make_unique<EditRequest>());
    take_share(*parts.back(), {world, position}, origin, edit);
  }
  return parts;
}

}  // namespace terrazzo::shard

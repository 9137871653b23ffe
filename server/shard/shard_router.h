#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "map/edit.h"
#include "server/shard/messages.h"

// Which core owns what, and which shards an edit concerns. Pure functions; any thread.
namespace terrazzo::shard {

inline constexpr std::uint64_t kShardsPerEditMax = 1024;
// too_large.
Error too_many_shards(std::uint64_t shards);

CoreId owner_core(const ShardKey& shard, int cores);
// The core of the world's coordinator and metadata.
CoreId coordinator_core(WorldId world, int cores);

// The edit for the one shard it touches, in a block of the pool; null: it touches several. It has passed
// map::check_edit.
std::unique_ptr<EditRequest> edit_of_one_shard(WorldId world, const Origin& origin, const map::Edit& edit,
                                               BlockPool& pool);

// One request per shard the edit touches, ops clipped to it and in the order given, by shard row and column. The edit
// has passed map::check_edit. too_large: more than kShardsPerEditMax shards; unsupported: conditions on an edit over
// shards.
Result<std::vector<std::unique_ptr<EditRequest>>> split_edit(WorldId world, const Origin& origin,
                                                             const map::Edit& edit);

}  // namespace terrazzo::shard

#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>

#include "server/shard/messages.h"
#include "server/shard/shard_router.h"

namespace terrazzo::shard {

struct ShardKeyHash {
  std::size_t operator()(const ShardKey& key) const noexcept {
    return std::hash<map::ShardPos>{}(key.position) ^ std::hash<WorldId>{}(key.world);
  }
};

// Which core one core takes for the owner of each shard: where the hash puts it, until it is told that the shard moves.
// Every core has its own table and changes it at a message of the old owner (app/shard_mover.h), so that nothing is
// shared and what it sends before and after is told apart by the order of its rings. A branch is where its world's
// shard is. One thread.
class OwnerTable {
 public:
  explicit OwnerTable(int cores) : cores_(cores) {}

  CoreId owner(const ShardKey& shard) const {
    if (!moved_.empty()) [[unlikely]] {
      if (const auto found = moved_.find(main_key(shard)); found != moved_.end()) return found->second;
    }
    return owner_core(shard, cores_);
  }
  void set(const ShardKey& shard, CoreId to) {
    if (to == owner_core(shard, cores_)) {
      moved_.erase(main_key(shard));
    } else {
      moved_[main_key(shard)] = to;
    }
  }
  // Shards that are not where the hash puts them.
  std::size_t moved() const { return moved_.size(); }

 private:
  const int cores_;
  std::unordered_map<ShardKey, CoreId, ShardKeyHash> moved_;
};

}  // namespace terrazzo::shard

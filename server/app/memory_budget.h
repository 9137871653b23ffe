#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "server/app/node.h"
#include "server/app/shard_table.h"
#include "server/storage/extent_sieve.h"

namespace terrazzo::app {

// Keeps the pages of one core's shards that are in memory within a budget: cold extents that are on disk are let go,
// in slices.
class MemoryBudget {
 public:
  MemoryBudget(Node& node, shard::CoreId self, ShardTable& shards, std::uint64_t pages_max)
      : node_(node), self_(self), shards_(shards), pages_max_(pages_max) {}

  void advance(std::uint64_t now_ns);
  // The shard goes to another core, whose budget its pages count for.
  void forget(ShardSlot& slot);
  // More than the budget is in memory, and there may be something to let go.
  bool wants_a_step() const { return releasing_; }
  std::uint64_t resident() const;
  std::uint64_t released() const { return released_; }  // pages

 private:
  struct LetGo {
    int fd;
    storage::PageNo extent;
    std::uint64_t pages;
  };
  void learn();
  void release_some();
  LetGo release(ShardSlot& slot, storage::PageNo extent);

  Node& node_;
  const shard::CoreId self_;
  ShardTable& shards_;
  const std::uint64_t pages_max_;
  std::vector<ShardSlot*> files_;  // by ExtentSieve::Key::file
  std::vector<std::uint32_t> unused_numbers_;
  std::unordered_map<ShardSlot*, std::uint32_t> numbers_;
  storage::ExtentSieve sieve_;
  std::uint64_t looked_ns_ = 0;
  bool releasing_ = false;
  std::uint64_t released_ = 0;
};

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "server/app/node.h"
#include "server/app/shard_table.h"
#include "server/storage/residency.h"

namespace terrazzo::app {

// Has cold pages of one core's shards brought into memory and proven by the page workers. A page that is damaged makes
// its shard read-only: what was edited on top of it could not be trusted, everything else can still be read.
class PageBringer {
 public:
  PageBringer(Node& node, shard::CoreId self) : node_(node), self_(self) {}
  // `done` runs on the core. False: too much is on its way already; nothing happens.
  [[nodiscard]] bool bring(ShardSlot& slot, std::vector<storage::ColdPage> pages, std::function<void()> done);

  // What somebody is told who asks for what lies below such a page.
  static Error damage(const ShardSlot& slot, storage::PageNo page);
  std::uint64_t brought() const { return brought_; }
  std::uint64_t damaged() const { return damaged_; }

 private:
  void brought(ShardSlot& slot, const std::vector<storage::ColdPage>& pages,
               const std::vector<storage::PageNo>& damaged);

  Node& node_;
  const shard::CoreId self_;
  std::uint64_t brought_ = 0, damaged_ = 0;
};

}  // namespace terrazzo::app

#pragma once

#include "server/app/node.h"
#include "server/app/shard_table.h"

namespace terrazzo::app {

// Has the page workers make ready what the edits to come will write, so that their cores wait neither for a page fault
// nor for the file system to find space. One core's.
class PagePreparer {
 public:
  PagePreparer(Node& node, shard::CoreId self) : node_(node), self_(self) {}
  // To be called after an edit.
  void look(ShardSlot& slot) {
    if (!slot.preparing && !slot.leaving && slot.shard->wants_ready()) ask(slot);
  }
  std::uint64_t prepared() const { return prepared_; }  // pages

 private:
  void ask(ShardSlot& slot);

  Node& node_;
  const shard::CoreId self_;
  std::uint64_t prepared_ = 0;
};

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <vector>

#include "server/storage/shard_store.h"
#include "shardfile/published_root.h"

namespace terrazzo::storage {

// Publishes a store's newest state for readers on the same host: pins it, tells of it, and lets earlier ones go that no
// reader looks at. Costs nothing while nobody reads. On the shard's core.
class RootPublisher {
 public:
  // `root`: the shared page, mapped for as long as this lives.
  explicit RootPublisher(shardfile::PublishedRoot& root);
  // Publishes if somebody reads and there is news. True: somebody reads.
  bool publish(ShardStore& store, PageNo pages);
  // Readers that have died hold pages; asked now and then.
  void clear_dead_readers() { root_.clear_dead_readers(); }

 private:
  void let_go(ShardStore& store);

  shardfile::PublishedRoot& root_;
  std::uint64_t last_ = 0;  // the newest snapshot's number
  Lsn last_lsn_;
  std::uint32_t arrivals_ = 0;       // seen
  bool was_read_ = true;             // readers of an earlier run may still be there
  std::vector<std::uint64_t> held_;  // published and not let go, by age
};

}  // namespace terrazzo::storage

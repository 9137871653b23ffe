#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/storage/shard_store.h"
#include "shardfile/published_root.h"

namespace terrazzo::storage {

// Publishes a store's newest state for readers on the same host: pins it, tells of it, and lets earlier ones go that no
// reader looks at. Costs nothing while nobody reads. On the shard's core.
class RootPublisher {
 public:
  // `root`: the shared page, mapped for as long as this lives. `hold_ns`: for how long after it was overtaken a state
  // is kept for readers that still look at it; their claims go then. 0: as long as they like.
  RootPublisher(shardfile::PublishedRoot& root, std::uint64_t hold_ns);
  // Publishes if somebody reads and there is news. `now_ns`: of a clock that never goes back. True: somebody reads.
  bool publish(ShardStore& store, PageNo pages, std::uint64_t now_ns);
  // Claims taken away, since the start.
  std::uint64_t evictions() const { return evictions_; }
  // Readers that have died hold pages; asked now and then.
  void clear_dead_readers() { root_.clear_dead_readers(); }

 private:
  // A published state that is pinned.
  struct Held {
    std::uint64_t number;
    std::optional<std::uint64_t> overtaken_ns;
  };
  void let_go(ShardStore& store, std::uint64_t now_ns);
  bool in_use(Held& held, std::uint64_t now_ns);

  shardfile::PublishedRoot& root_;
  const std::uint64_t hold_ns_;
  std::uint64_t last_ = 0;  // the newest snapshot's number
  Lsn last_lsn_;
  std::uint32_t arrivals_ = 0;  // seen
  bool was_read_ = true;        // readers of an earlier run may still be there
  std::vector<Held> held_;      // by age
  std::uint64_t evictions_ = 0;
};

}  // namespace terrazzo::storage

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "base/shared_bytes.h"
#include "base/strong_id.h"
#include "proto/messages.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

// The encodings of chunk states of one core, so that a crowd that opens the same place is served from one encoding of
// each chunk. Bounded in bytes; what goes is chosen by SIEVE (Zhang et al., NSDI 2024): a hand walks from the oldest
// entry to the newest and takes the first that was not asked for since it last passed. Pure; one thread.
//  1. At most one revision of a chunk, layer and form is kept: the newest that was asked for. Older ones are never
//     asked for again, as shards only go forward.
class EncodedChunks {
 public:
  struct Key {
    ShardKey shard;
    std::uint32_t chunk = 0;  // index in the shard
    map::LayerId layer = 0;
    proto::Form form = proto::Form::binary;
    bool operator==(const Key&) const = default;
  };
  struct Counters {
    std::uint64_t hits = 0, misses = 0, evicted = 0;
  };

  // 0: keeps nothing.
  explicit EncodedChunks(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  EncodedChunks(const EncodedChunks&) = delete;
  EncodedChunks& operator=(const EncodedChunks&) = delete;

  // Null: not there in this revision.
  SharedBytes find(const Key& key, Lsn revision);
  // In place of what is there of another revision. What is larger than the bound is not kept.
  void insert(const Key& key, Lsn revision, const SharedBytes& frame);

  std::size_t size() const { return entries_.size(); }
  // As allocated: payload and this cache's own memory for each entry.
  std::size_t bytes() const { return bytes_; }
  const Counters& counters() const { return counters_; }

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Key key;
    Lsn revision;
    SharedBytes frame;
    bool asked = false;  // since the hand passed
  };
  using Order = std::list<Entry>;  // newest first

  static std::size_t cost(const SharedBytes& frame);
  void evict();
  void erase(Order::iterator entry);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Order order_;
  Order::iterator hand_ = order_.end();
  std::unordered_map<Key, Order::iterator, Hash> entries_;
  Counters counters_;
};

}  // namespace terrazzo::shard

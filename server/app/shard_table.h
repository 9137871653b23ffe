#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "proto/codec.h"
#include "server/app/node.h"
#include "server/io/mmap_page_file.h"
#include "server/io/shared_page.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

struct ShardKeyHash {
  std::size_t operator()(const shard::ShardKey& key) const noexcept {
    return std::hash<map::ShardPos>{}(key.position) ^ std::hash<WorldId>{}(key.world);
  }
};

// A shard on its owner core with its file, and how far the core's log is still needed for it.
struct ShardSlot {
  std::unique_ptr<io::MmapPageFile> file;  // null until the first edit of a new shard
  std::unique_ptr<shard::Shard> shard;
  // For readers on the same host; null: --publish-ms 0, or the page cannot be made.
  std::unique_ptr<io::SharedPage> readers;
  std::unique_ptr<storage::RootPublisher> publisher;
  std::uint64_t logged = 0;   // sequence of its newest log record of this run
  std::uint64_t covered = 0;  // all its records up to here are in the durable checkpoint
  std::uint64_t dirty_since_ns = 0;
  bool waiting = false;         // for the log to become durable
  bool faulted = false;         // pages of its file were missing
  bool no_checkpoints = false;  // one failed: what is on disk stays as it is
};

// The shards one core owns, opened when first asked for. Used by recovery before the core runs, by the core afterwards.
class ShardTable {
 public:
  ShardTable(Node& node, proto::Encoder& encoder) : node_(node), encoder_(encoder) {}

  // Opens the shard's file where there is one; a place nobody has edited yet has none. An error: no such world, or the
  // file cannot be believed (then every later call says the same).
  Result<ShardSlot*> find_or_open(const shard::ShardKey& key);
  // Likewise, for recovery: log records may have to be replayed before the shard counts as recovered.
  Result<ShardSlot*> find_or_open_unrecovered(const shard::ShardKey& key);
  template <class Visit>
  void for_each(Visit visit) {
    for (auto& [key, slot] : slots_) visit(*slot);
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [key, slot] : slots_) visit(std::as_const(*slot));
  }
  std::size_t size() const { return slots_.size(); }

 private:
  Result<std::unique_ptr<ShardSlot>> open(const shard::ShardKey& key);
  void make_publisher(ShardSlot& slot, const std::string& path);

  Node& node_;
  proto::Encoder& encoder_;
  std::unordered_map<shard::ShardKey, std::unique_ptr<ShardSlot>, ShardKeyHash> slots_;
  std::unordered_map<shard::ShardKey, Error, ShardKeyHash> damaged_;
};

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "proto/codec.h"
#include "server/app/node.h"
#include "server/io/mmap_page_file.h"
#include "server/io/shared_page.h"
#include "server/shard/owner_table.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

using shard::ShardKeyHash;

// Another core's log is needed until a checkpoint after this one is durable: it was the newest when the shard went
// away.
struct LogOwed {
  shard::CoreId core = 0;
  std::uint64_t until = 0;  // generation
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
  bool waiting = false;    // for the log to become durable
  bool in_line = false;    // messages for it wait in the lobby
  bool preparing = false;  // pages for its edits
  // Why its file could not be made just now; the edit that needed it is told so.
  std::optional<Error> no_file;
  bool faulted = false;           // pages of its file were missing
  bool no_checkpoints = false;    // one failed: what is on disk stays as it is
  bool leaving = false;           // for another core: no work in the background begins
  unsigned page_jobs = 0;         // of this core's workers that come back to the slot
  std::vector<LogOwed> owed;      // of the cores it was on
  std::uint64_t work_before = 0;  // at LoadMeter's last look
};

// A shard's file and what was read of it, opened or made on any thread; nothing: there is no file.
struct ShardFile {
  std::unique_ptr<io::MmapPageFile> file;
  std::unique_ptr<storage::ShardStore> store;
  std::unique_ptr<io::SharedPage> readers;
};
Result<ShardFile> open_shard_file(const Node& node, const shard::ShardKey& key);
// For recovery: whether the file's newest root is there is judged when the log has been replayed.
Result<ShardFile> open_unrecovered_file(const Node& node, const shard::ShardKey& key);
// An error if the file's newest root may be lost; with --accept-log-loss what is missing is given up. Without this,
// edits that were told durable would be gone, and nobody would know.
Status judge_lost_root(const Node& node, const shard::ShardKey& key, io::MmapPageFile& file,
                       const storage::ShardStore& store);
Result<ShardFile> create_shard_file(const Node& node, const shard::ShardKey& key);

// The shards one core owns. Used by recovery before the core runs, by the core afterwards.
class ShardTable {
 public:
  ShardTable(Node& node, proto::Encoder& encoder)
      : node_(node), encoder_(encoder), encoded_(std::size_t{node.config.chunk_cache_mib} << 20) {}

  // A shard's slot has all its branches; `key` may be of any. Null: not open.
  ShardSlot* find(const shard::ShardKey& key) const;
  // The line of this world in an open shard: the main one, or a branch, which is added when somebody asks. Null: there
  // is no such branch (any more). `recovering`: its log records are to be replayed.
  shard::Shard* line(ShardSlot& slot, WorldId world, bool recovering = false);
  // Why it could not be opened: no such world, or the file cannot be believed. It stays so until the next start.
  const Error* damage(const shard::ShardKey& key) const;
  // What open_shard_file() gave for a shard that is not open.
  Result<ShardSlot*> open(const shard::ShardKey& key, Result<ShardFile> file);
  // What create_shard_file() gave for a shard without a file; an error stays with the slot until somebody was told.
  void give_file(ShardSlot& slot, Result<ShardFile> file);
  // For another core's table: nothing here points to it any more.
  std::unique_ptr<ShardSlot> release(const shard::ShardKey& key);
  ShardSlot* install(const shard::ShardKey& key, std::unique_ptr<ShardSlot> slot);

  // Waits for the disk: recovery does, and log records may have to be replayed before the shard counts as recovered.
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
  const shard::EncodedChunks& encoded() const { return encoded_; }

 private:
  Result<ShardSlot*> add(const shard::ShardKey& key, Result<ShardFile> file);
  // Asked by recovery's first edit, and by the core's when making the file beforehand failed; the slot outlives its
  // shard.
  shard::Shard::StoreFactory store_factory(const shard::ShardKey& key, ShardSlot& slot);
  // The store moves on to the shard.
  std::unique_ptr<storage::ShardStore> adopt(ShardSlot& slot, ShardFile file);

  Node& node_;
  proto::Encoder& encoder_;
  shard::EncodedChunks encoded_;
  std::unordered_map<shard::ShardKey, std::unique_ptr<ShardSlot>, ShardKeyHash> slots_;
  std::unordered_map<shard::ShardKey, Error, ShardKeyHash> damaged_;
};

}  // namespace terrazzo::app

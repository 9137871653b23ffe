#pragma once

#include <cstdint>

#include "server/app/log_driver.h"
#include "server/app/page_bringer.h"
#include "server/app/shard_table.h"
#include "server/runtime/file_queue.h"

namespace terrazzo::app {

// Checkpoints this core's shards one at a time, in the background: the syncs run on the ring, the steps between them
// are short. A shard's turn comes when it asks, or when it has been dirty for long.
//
// A root is written when the log has everything that it shows on disk. Otherwise, after a crash, a shard could show
// edits that no log has: nobody could take them back, and undo would find an older edit in their place. Two exceptions:
// while the log waits for disk space a root goes first, since segments become free by checkpoints alone, and the log
// could wait for ever; and a log that failed has no further roots written, since it never has everything.
class CheckpointDriver final : private runtime::Completion {
 public:
  CheckpointDriver(ShardTable& shards, LogDriver& log, runtime::FileQueue& files, PageBringer& pages)
      : shards_(shards), log_(log), files_(files), pages_(pages) {}

  // Takes the next step, if one is due. True: a checkpoint has become durable.
  bool advance(std::uint64_t now_ns);
  bool running() const { return slot_ != nullptr; }
  // It is this shard's turn, or it will be at the next look.
  bool is_at(const ShardSlot& slot) const { return slot_ == &slot; }
  static bool is_due(const ShardSlot& slot, std::uint64_t now_ns);
  bool wants_a_step() const { return (synced_ && !waits_for_log()) || ((working_ || reclaiming_) && !bringing_); }
  // At the end of a run: every dirty shard, at once.
  void hurry() { hurry_ = true; }
  bool all_clean();
  std::uint64_t done() const { return done_; }

 private:
  void complete(std::int32_t result, std::uint32_t flags) override;
  bool begin(std::uint64_t now_ns);
  Status whether_synced() const;
  void reclaim();
  // Whether there was something to bring; the driver goes on when it is there.
  bool bring(ShardSlot& slot);
  void step(Result<storage::CheckpointStep> next);
  bool waits_for_log() const {
    return root_next_ && result_ == 0 && log_.durable_sequence() < covers_ && !log_.failed() && !log_.lacks_space();
  }

  ShardTable& shards_;
  LogDriver& log_;
  runtime::FileQueue& files_;
  PageBringer& pages_;
  storage::Missing missing_;  // scratch
  ShardSlot* slot_ = nullptr;
  std::uint64_t covers_ = 0;  // the log sequence this checkpoint makes history
  bool synced_ = false;
  bool root_next_ = false;   // the pages are being synced or have been; the root that tells of them comes next
  bool working_ = false;     // checksums are left to compute
  bool reclaiming_ = false;  // pages of dropped versions are left to give back
  bool bringing_ = false;    // pages for that, or for a root, are on their way
  std::int32_t result_ = 0;
  bool hurry_ = false;
  std::uint64_t not_before_ns_ = 0;  // the disk was full
  bool told_full_ = false;
  std::uint64_t looked_ns_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace terrazzo::app

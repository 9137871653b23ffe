#include "server/app/checkpoint_driver.h"

#include <spdlog/spdlog.h>

#include <cstring>
#include <limits>
#include <utility>

namespace terrazzo::app {
namespace {

// Long enough that a painter's strokes share one checkpoint, short enough that recovery replays seconds, not hours.
constexpr std::uint64_t kDirtyForNs = 30'000'000'000;
// After the disk was full.
constexpr std::uint64_t kTryAgainNs = 1'000'000'000;
constexpr std::uint64_t kLookEveryNs = 50'000'000;
// Checksums computed per tick: some 160 ns each, so that an edit waits 10 µs for them at most.
constexpr std::size_t kPagesPerTick = 8;
// Entries of nodes looked at per tick for what dropped versions leave: a nanosecond or two each.
constexpr std::size_t kEntriesPerTick = 16384;

bool is_dirty(const ShardSlot& slot) {
  return !slot.no_checkpoints && !slot.leaving && slot.shard->store() != nullptr && slot.shard->store()->dirty();
}

}  // namespace

bool CheckpointDriver::is_due(const ShardSlot& slot, std::uint64_t now_ns) {
  if (!is_dirty(slot)) return false;
  return slot.shard->wants_checkpoint() || (slot.dirty_since_ns != 0 && now_ns - slot.dirty_since_ns >= kDirtyForNs);
}

void CheckpointDriver::complete(std::int32_t result, std::uint32_t) {
  result_ = result;
  synced_ = true;
}

void CheckpointDriver::reclaim() {
  reclaiming_ = false;
  shards_.for_each([&](ShardSlot& slot) {
    if (reclaiming_ || slot.leaving) return;
    missing_.clear();
    reclaiming_ = slot.shard->reclaim(kEntriesPerTick, &missing_);
    // What lies below a damaged page stays taken; whoever repairs the file gets it back.
    if (missing_.damaged) reclaiming_ = false;
    if (reclaiming_) bring(slot);
  });
}

bool CheckpointDriver::bring(ShardSlot& slot) {
  if (missing_.pages.empty()) return false;
  bringing_ = pages_.bring(slot, std::move(missing_.pages), [this] { bringing_ = false; });
  return true;
}

bool CheckpointDriver::advance(std::uint64_t now_ns) {
  if (reclaiming_ && !bringing_) reclaim();
  if (slot_ == nullptr) {
    if (bringing_ && !hurry_) return false;
    if (!hurry_ && now_ns - looked_ns_ < kLookEveryNs) return false;
    looked_ns_ = now_ns;
    if (!hurry_ && !reclaiming_) reclaim();
    return begin(now_ns);
  }
  if (working_) {
    if (bringing_ && !hurry_) return false;
    missing_.clear();
    step(hurry_ ? slot_->shard->checkpoint_work(std::numeric_limits<std::uint32_t>::max())
                : slot_->shard->checkpoint_work(kPagesPerTick, &missing_));
    if (working_) bring(*slot_);
    return false;
  }
  if (!synced_ || waits_for_log()) return false;
  synced_ = false;
  const std::uint64_t before = done_;
  step(slot_->shard->checkpoint_synced(whether_synced()));
  return done_ != before;
}

Status CheckpointDriver::whether_synced() const {
  if (result_ != 0)
    return Error{ErrorCode::read_only, std::string("the shard's file could not be synced: ") + std::strerror(-result_)};
  if (root_next_ && log_.failed() && log_.durable_sequence() < covers_) return LogDriver::failure();
  // A page that could not be read must not get a checksum and a root that vouches for it.
  return slot_->file->look_whether_whole();
}

bool CheckpointDriver::begin(std::uint64_t now_ns) {
  if (now_ns < not_before_ns_ || log_.failed()) return false;
  ShardSlot* chosen = nullptr;
  shards_.for_each([&](ShardSlot& slot) {
    if (!is_dirty(slot)) {
      slot.dirty_since_ns = 0;
      return;
    }
    if (slot.dirty_since_ns == 0) slot.dirty_since_ns = now_ns;
    const bool due = hurry_ || is_due(slot, now_ns);
    if (due && (chosen == nullptr || slot.dirty_since_ns < chosen->dirty_since_ns)) chosen = &slot;
  });
  if (chosen == nullptr) return false;
  if (!hurry_) {
    missing_.clear();
    chosen->shard->look_checkpoint(missing_);
    if (bring(*chosen)) return false;
  }
  slot_ = chosen;
  slot_->dirty_since_ns = 0;
  covers_ = slot_->logged;
  const std::uint64_t before = done_;
  if (const Status whole = slot_->file->look_whether_whole(); !whole) {
    step(whole.error());
    return false;
  }
  const Result<storage::CheckpointStep> begun = slot_->shard->begin_checkpoint();
  if (!begun && begun.error().code == ErrorCode::overloaded) {
    // Nothing has happened; the log holds the edits until there is space again.
    if (!std::exchange(told_full_, true)) spdlog::warn("checkpoints wait: {}", begun.error().message);
    slot_ = nullptr;
    not_before_ns_ = now_ns + kTryAgainNs;
    return false;
  }
  if (std::exchange(told_full_, false)) spdlog::info("checkpoints go on: there is disk space again");
  step(begun);
  return done_ != before;
}

void CheckpointDriver::step(Result<storage::CheckpointStep> next) {
  if (!next) {
    spdlog::error("checkpoint failed, the shard is read-only now: {}", next.error().message);
    slot_->shard->read_only(next.error());
    slot_->no_checkpoints = true;
    slot_ = nullptr;
    working_ = root_next_ = false;
    return;
  }
  root_next_ = *next == storage::CheckpointStep::sync_pages;
  working_ = *next == storage::CheckpointStep::work;
  if (working_) return;
  if (*next == storage::CheckpointStep::done) {
    slot_->covered = covers_;
    slot_ = nullptr;
    ++done_;
    return;
  }
  files_.datasync(slot_->file->fd(), this);
}

bool CheckpointDriver::all_clean() {
  bool clean = slot_ == nullptr;
  shards_.for_each([&](ShardSlot& slot) { clean = clean && !is_dirty(slot); });
  return clean;
}

}  // namespace terrazzo::app

#include "server/app/recovery.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "server/app/history_keeper.h"
#include "server/shard/coordinator.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {
namespace {

// A record where it lies in its segment's bytes.
struct Found {
  shard::ShardKey shard;
  storage::Record record;
};

class Recovery {
 public:
  Recovery(Node& node, std::span<const std::unique_ptr<CoreServices>> cores) : node_(node), cores_(cores) {}

  Result<RecoveryReport> run() {
    const auto steps = {&Recovery::read_logs, &Recovery::replay, &Recovery::roll_forward, &Recovery::checkpoint};
    for (const auto step : steps)
      if (Status done = (this->*step)(); !done) return done.error();
    report_.shards = touched_.size();
    for (const io::SegmentName& segment : segments_) seal(segment);
    return report_;
  }

 private:
  Status read_logs();
  Status replay();
  Status roll_forward();
  Status checkpoint();
  // In the background; until it is done, another start would read the segment once more.
  void seal(const io::SegmentName& segment);
  Result<ShardSlot*> slot_of(const shard::ShardKey& key);
  static Status checkpoint_now(ShardSlot& slot);

  Node& node_;
  std::span<const std::unique_ptr<CoreServices>> cores_;
  std::vector<io::SegmentName> segments_;
  std::vector<std::vector<std::byte>> bytes_;  // of the segments
  std::vector<Found> edits_, coordinated_;
  std::unordered_set<ShardSlot*> touched_;
  RecoveryReport report_;
};

void Recovery::seal(const io::SegmentName& segment) {
  const auto job = [&node = node_, segment]() -> WorkerPool::Done {
    seal_into_history(node, segment);
    return {};
  };
  if (!node_.workers->submit(0, job)) job();
}

Result<ShardSlot*> Recovery::slot_of(const shard::ShardKey& key) {
  const shard::CoreId owner = shard::owner_core(key, node_.cores);
  return cores_[owner]->shards().find_or_open_unrecovered(key);
}

Status Recovery::read_logs() {
  Result<std::vector<io::SegmentName>> segments = node_.data->list_segments();
  if (!segments) return segments.error();
  segments_ = *std::move(segments);
  // This run's own first segments are being made by the workers at this moment; they are no past.
  std::erase_if(segments_, [&](const io::SegmentName& segment) { return segment.incarnation == node_.incarnation; });
  for (const io::SegmentName& segment : segments_) {
    Result<std::vector<std::byte>> bytes = node_.data->read_segment(segment.core, segment.incarnation, segment.number);
    if (!bytes) return bytes.error();
    bytes_.push_back(*std::move(bytes));
    const auto collect = [&](const storage::Record& record) {
      const Found found{{record.shard.world, {record.shard.x, record.shard.y}}, record};
      (record.kind == storage::RecordKind::edit ? edits_ : coordinated_).push_back(found);
    };
    const Result<storage::WalScan> scan = storage::scan_segment(bytes_.back(), collect);
    if (!scan) return scan.error();
    report_.records += scan->records;
  }
  report_.segments = segments_.size();
  return {};
}

Status Recovery::replay() {
  const auto order = [](const Found& f) {
    return std::tuple(f.shard.world.value, f.shard.position.y, f.shard.position.x, f.record.lsn.value);
  };
  std::ranges::sort(edits_, {}, order);
  for (const Found& found : edits_) {
    Result<ShardSlot*> slot = slot_of(found.shard);
    if (!slot) return slot.error();
    const Lsn before = (*slot)->shard->lsn();
    if (Status replayed = (*slot)->shard->replay(found.record); !replayed) return replayed;
    if ((*slot)->shard->lsn() != before) ++report_.replayed;
    touched_.insert(*slot);
  }
  return {};
}

Status Recovery::roll_forward() {
  std::ranges::sort(coordinated_, {},
                    [](const Found& f) { return std::tuple(f.shard.world.value, f.record.lsn.value); });
  for (const Found& found : coordinated_) {
    Result<std::unique_ptr<shard::CoordinatedRequest>> request = shard::decode_coordinated(found.record.payload);
    if (!request) return request.error();
    for (const auto& part : (*request)->parts) {
      part->coordinated = found.record.lsn.value;
      Result<ShardSlot*> slot = slot_of(part->shard);
      if (!slot) return slot.error();
      const Lsn before = (*slot)->shard->lsn();
      const Status done = (*slot)->shard->roll_forward(*part);
      // What it would go back to is gone; whoever asked was told so. Everything else can still be served.
      if (!done && done.error().code == ErrorCode::not_found) {
        spdlog::error("recovery: a part of an edit is left out: {}", done.error().message);
        continue;
      }
      if (!done) return done;
      if ((*slot)->shard->lsn() != before) ++report_.rolled_forward;
      touched_.insert(*slot);
    }
  }
  return {};
}

Status Recovery::checkpoint_now(ShardSlot& slot) {
  if (slot.shard->store() == nullptr || !slot.shard->store()->dirty()) return {};
  Result<storage::CheckpointStep> step = slot.shard->begin_checkpoint();
  while (step && *step != storage::CheckpointStep::done) {
    if (*step == storage::CheckpointStep::work) {
      step = slot.shard->checkpoint_work(std::numeric_limits<std::uint32_t>::max());
      continue;
    }
    const bool synced = ::fdatasync(slot.file->fd()) == 0;
    step = slot.shard->checkpoint_synced(
        synced ? Status()
               : Error{ErrorCode::read_only,
                       std::string("the shard's file could not be synced: ") + std::strerror(errno)});
  }
  return step ? Status() : step.error();
}

Status Recovery::checkpoint() {
  for (ShardSlot* slot : touched_) slot->shard->recovered();
  std::size_t done = 0;
  for (ShardSlot* slot : touched_) {
    if (Status made = checkpoint_now(*slot); !made) return made;
    if (++done % 100 == 0) spdlog::info("recovery: {} of {} shards on disk", done, touched_.size());
  }
  return {};
}

}  // namespace

Result<RecoveryReport> recover(Node& node, std::span<const std::unique_ptr<CoreServices>> cores) {
  return Recovery(node, cores).run();
}

}  // namespace terrazzo::app

#include "server/app/recovery.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/canary.h"
#include "server/app/history_keeper.h"
#include "server/app/page_bringer.h"
#include "server/io/cold_pages.h"
#include "server/runtime/clock.h"
#include "server/shard/coordinator.h"
#include "server/shard/log_record.h"
#include "server/shard/shard_router.h"
#include "server/storage/log_damage.h"

namespace terrazzo::app {
namespace {

// A record where it lies in its segment's bytes.
struct Found {
  shard::ShardKey shard;
  storage::Record record;
  std::size_t segment = 0;     // of Recovery::segments_
  storage::HeadId number = 0;  // of the branch; 0: the main line, or one that was dropped
};

struct Segment {
  io::SegmentName name;
  std::vector<std::byte> bytes;
  std::vector<Found> records;  // in these bytes
  storage::WalScan scan;
  bool given_up = false;  // nothing of it is replayed
  bool has_gap = false;   // something of it is not, because of what another log has lost
};

bool same_log(const io::SegmentName& a, const io::SegmentName& b) {
  return a.core == b.core && a.incarnation == b.incarnation;
}

class Recovery {
 public:
  Recovery(Node& node, std::span<const std::unique_ptr<CoreServices>> cores) : node_(node), cores_(cores) {}

  Result<RecoveryReport> run() {
    const auto steps = {&Recovery::read_logs,    &Recovery::judge_logs, &Recovery::replay,      &Recovery::judge_roots,
                        &Recovery::roll_forward, &Recovery::checkpoint, &Recovery::note_stamps, &Recovery::put_away};
    for (const auto step : steps)
      if (Status done = (this->*step)(); !done) return done.error();
    report_.shards = touched_.size();
    return report_;
  }

 private:
  Status read_logs();
  // Refuses a damaged log, or gives up what lies behind the damage.
  Status judge_logs();
  Status replay();
  void give_up_behind_gap(const Found& found);
  Status judge_roots();
  Status judge_root(ShardSlot& slot);
  bool all_lines_went_on(const ShardSlot& slot) const;
  Status roll_forward();
  Status keep_rolled();
  // Cores number theirs from 1.
  io::SegmentName rolled_segment() const { return {0, node_.incarnation, 0}; }
  Status checkpoint();
  // This run's edits count as later than those of all runs before, whatever the clock was set to.
  Status note_stamps();
  Status put_away();
  // In the background; until it is done, another start would read the segment once more.
  void seal(const io::SegmentName& segment);
  // Where records of a shard go; no shard: they are of a branch that was dropped.
  struct Target {
    ShardSlot* slot = nullptr;
    shard::Shard* shard = nullptr;
  };
  Result<Target> target(const shard::ShardKey& key);
  // A line's place among those of its world: branches come after what they began at.
  storage::HeadId number_of(WorldId world) const {
    const auto branch = line_of(world) == 0 ? std::nullopt : node_.branches.get(world);
    return branch ? branch->number : 0;
  }
  // Pages are proven before they are touched, as they are later: what rotted must not be copied and vouched for.
  static Status bring(ShardSlot& slot, storage::Missing& missing);
  static shard::Shard::BringPages bringing(ShardSlot& slot) {
    return [&slot](storage::Missing& missing) { return bring(slot, missing); };
  }
  static Status checkpoint_now(ShardSlot& slot);
  void touch(ShardSlot& slot) {
    if (is_touched_.insert(&slot).second) touched_.push_back(&slot);
  }

  Node& node_;
  std::span<const std::unique_ptr<CoreServices>> cores_;
  std::vector<Segment> segments_;
  std::vector<storage::LogDamage> accepted_;
  std::vector<Found> edits_, coordinated_;
  storage::WalWriter rolled_{0, node_.incarnation, 0, 4 * storage::kPageBytes};
  // In the order of the first edit each got, which is the same whenever the same log is recovered.
  std::vector<ShardSlot*> touched_;
  std::unordered_set<const ShardSlot*> is_touched_;
  std::unordered_set<const shard::Shard*> went_on_;  // lines that the log had more edits of
  std::optional<shard::ShardKey> told_gap_of_;
  std::uint64_t newest_stamp_us_ = 0;
  RecoveryReport report_;
};

void Recovery::seal(const io::SegmentName& segment) {
  const auto job = [&node = node_, segment]() -> WorkerPool::Done {
    seal_into_history(node, segment);
    return {};
  };
  if (!node_.workers->submit(0, job)) job();
}

Result<Recovery::Target> Recovery::target(const shard::ShardKey& key) {
  if (line_of(key.world) != 0 && node_.branches.was_dropped(key.world)) return Target{};
  const shard::CoreId owner = shard::owner_core(key, node_.cores);
  ShardTable& shards = cores_[owner]->shards();
  const Result<ShardSlot*> slot = shards.find_or_open_unrecovered(key);
  if (!slot) return slot.error();
  shard::Shard* const line = shards.line(**slot, key.world, true);
  if (line != nullptr) return Target{*slot, line};
  return Error{ErrorCode::internal,
               fmt::format("the log has edits of branch {} of world {}, which its branches.json does not list; restore "
                           "that file from a backup",
                           line_of(key.world), main_world(key.world).value)};
}

Status Recovery::read_logs() {
  const Result<std::vector<io::SegmentName>> names = node_.data->list_segments();
  if (!names) return names.error();
  for (const io::SegmentName& name : *names) {
    // This run's own first segments are being made by the workers at this moment; they are no past.
    if (name.incarnation == node_.incarnation) continue;
    // What the run before could not sync must not be replayed into shards that then are on disk: were the power lost in
    // the middle, the next start would lack it, and with it the other parts of edits over several shards.
    if (Status looked = node_.data->look_at_disk(name); !looked) return looked;
    Result<std::vector<std::byte>> bytes = node_.data->read_segment(name.core, name.incarnation, name.number);
    if (!bytes) return bytes.error();
    Segment& segment = segments_.emplace_back(Segment{name, *std::move(bytes), {}, {}});
    const auto collect = [&](const storage::Record& record) {
      segment.records.push_back({{record.shard.world, {record.shard.x, record.shard.y}}, record, segments_.size() - 1});
      if (line_of(record.shard.world) != 0) report_.worlds_in_log.insert(record.shard.world);
      if (record.kind != storage::RecordKind::edit) return;
      if (const auto head = shard::peek_edit(record.payload))
        newest_stamp_us_ = std::max(newest_stamp_us_, head->time_us);
    };
    const Result<storage::WalScan> scan = storage::scan_segment(segment.bytes, name, collect);
    if (!scan) return Error{scan.error().code, io::file_of(name) + ": " + scan.error().message};
    segment.scan = *scan;
    if (segment.records.empty()) segment.bytes = {};  // spares are many and large
  }
  report_.segments = segments_.size();
  return {};
}

Status Recovery::judge_logs() {
  std::vector<storage::ScannedSegment> scans;
  for (const Segment& segment : segments_) scans.push_back({segment.name, segment.scan});
  std::string lost;
  for (const storage::LogDamage& damage : storage::find_log_damage(scans)) {
    const std::string text = io::file_of(damage.segment) + ", " + damage.what;
    if (damage.of_a_past_run) {
      spdlog::error("the write-ahead log of a past run is damaged, and every shard has all of it: {}", text);
      continue;
    }
    accepted_.push_back(damage);
    lost += (lost.empty() ? "" : "; ") + text;
  }
  if (!lost.empty() && !node_.config.accept_log_loss) {
    return Error{
        ErrorCode::internal,
        fmt::format(
            "the write-ahead log is damaged, and edits that were acknowledged as durable are behind the damage: "
            "{}. Nothing was changed. Restore the data folder from a backup; or look at what is left with "
            "terrazzo-server dump-wal {}, and start once with --accept-log-loss to go on without what stands at "
            "the damage and behind it",
            lost, node_.config.data_dir)};
  }
  if (!lost.empty()) spdlog::critical("edits are given up, as --accept-log-loss says: {}", lost);
  for (Segment& segment : segments_) {
    segment.given_up = std::ranges::any_of(accepted_, [&](const storage::LogDamage& damage) {
      return same_log(damage.segment, segment.name) && damage.segment.number < segment.name.number;
    });
    if (segment.given_up) continue;
    report_.records += segment.records.size();
    for (const Found& found : segment.records)
      (found.record.kind == storage::RecordKind::edit ? edits_ : coordinated_).push_back(found);
  }
  return {};
}

Status Recovery::replay() {
  const auto order = [](const Found& f) {
    return std::tuple(main_world(f.shard.world).value, f.shard.position.y, f.shard.position.x, f.number,
                      f.record.lsn.value);
  };
  for (Found& found : edits_) found.number = number_of(found.shard.world);
  std::ranges::sort(edits_, {}, order);
  if (canary::is(canary::Bug::last_record_lost) && !edits_.empty()) edits_.pop_back();
  for (const Found& found : edits_) {
    const Result<Target> at = target(found.shard);
    if (!at) return at.error();
    if (at->shard == nullptr) continue;
    const Lsn before = at->shard->lsn();
    // The shard moved to another core after what a damaged log has lost: what follows there rests on it.
    if (!accepted_.empty() && found.record.lsn > next(before)) {
      give_up_behind_gap(found);
      continue;
    }
    if (Status replayed = at->shard->replay(found.record, bringing(*at->slot)); !replayed) return replayed;
    if (at->shard->lsn() != before) {
      ++report_.replayed;
      went_on_.insert(at->shard);
    }
    touch(*at->slot);
  }
  return {};
}

bool Recovery::all_lines_went_on(const ShardSlot& slot) const {
  const auto went_on = [&](WorldId world) { return went_on_.contains(slot.shard->find(world)); };
  return went_on(slot.shard->key().world) &&
         std::ranges::all_of(node_.branches.list(slot.shard->key().world),
                             [&](const catalog::NamedBranch& branch) { return went_on(branch.world); });
}

// A shard may lack its newest root. If the log goes on where the other one ends, it has all that is missing; of lines
// it says nothing of, nobody knows: also a branch that this root has no head of may have been painted here since.
Status Recovery::judge_root(ShardSlot& slot) {
  if (slot.shard->store() == nullptr || all_lines_went_on(slot)) return {};
  return judge_lost_root(node_, slot.shard->key(), *slot.file, *slot.shard->store());
}

Status Recovery::judge_roots() {
  for (ShardSlot* slot : touched_)
    if (Status judged = judge_root(*slot); !judged) return judged;
  return {};
}

void Recovery::give_up_behind_gap(const Found& found) {
  segments_[found.segment].has_gap = true;
  if (std::exchange(told_gap_of_, found.shard) == found.shard) return;
  const map::ShardPos at = found.shard.position;
  spdlog::critical("{}, shard {},{}: edits from {} on are given up, too: edits before them were lost",
                   name_of_line(found.shard.world), at.x, at.y, found.record.lsn.value);
}

Status Recovery::roll_forward() {
  for (Found& found : coordinated_) found.number = number_of(found.shard.world);
  std::ranges::sort(coordinated_, {}, [](const Found& f) {
    return std::tuple(main_world(f.shard.world).value, f.number, f.record.lsn.value);
  });
  for (const Found& found : coordinated_) {
    Result<std::unique_ptr<shard::CoordinatedRequest>> request = shard::decode_coordinated(found.record.payload);
    if (!request) return request.error();
    if (canary::is(canary::Bug::part_not_rolled_forward)) (*request)->parts.pop_back();
    for (const auto& part : (*request)->parts) {
      newest_stamp_us_ = std::max(newest_stamp_us_, part->time_us);
      part->coordinated = found.record.lsn.value;
      const Result<Target> at = target(part->shard);
      if (!at) return at.error();
      if (at->shard == nullptr) continue;
      if (Status judged = is_touched_.contains(at->slot) ? Status() : judge_root(*at->slot); !judged) return judged;
      const Lsn before = at->shard->lsn();
      touch(*at->slot);
      std::vector<std::byte> record;
      const Status done = at->shard->roll_forward(*part, bringing(*at->slot), &record);
      // What it would go back to is gone; whoever asked was told so. Everything else can still be served.
      if (!done && done.error().code == ErrorCode::not_found) {
        spdlog::error("recovery: a part of an edit is left out: {}", done.error().message);
        continue;
      }
      if (!done) return done;
      if (at->shard->lsn() != before) ++report_.rolled_forward;
      if (!record.empty()) {
        const map::ShardPos position = part->shard.position;
        rolled_.append(
            {storage::RecordKind::edit, {part->shard.world, position.x, position.y}, at->shard->lsn(), record});
      }
    }
  }
  return keep_rolled();
}

// Parts that were rolled forward are in no core's log. History has them all the same: undo and queries find every edit
// there. Before the shards' checkpoints, after which nobody rolls them forward again.
Status Recovery::keep_rolled() {
  const std::optional<storage::WalWrite> group = rolled_.next_group();
  if (!group || node_.config.history_mib == 0 || canary::is(canary::Bug::rolled_part_not_kept)) return {};
  const auto sealed = storage::seal_segment(group->bytes, rolled_segment(), chunks_of_record);
  return sealed ? node_.data->write_history(rolled_segment(), sealed->file) : Status(sealed.error());
}

Status Recovery::bring(ShardSlot& slot, storage::Missing& missing) {
  std::vector<storage::PageNo> damaged = io::bring_in(slot.file->fd(), missing.pages);
  if (missing.damaged) damaged.push_back(*missing.damaged);
  if (!damaged.empty()) return PageBringer::damage(slot, damaged.front());
  for (const storage::ColdPage& page : missing.pages) slot.shard->residency()->brought(page.page);
  return {};
}

Status Recovery::checkpoint_now(ShardSlot& slot) {
  if (slot.shard->store() == nullptr) return {};
  if (!slot.shard->store()->dirty()) {
    // The log is put away on the word of the file's root, which the run before may have written and not synced.
    if (::fdatasync(slot.file->fd()) == 0) return slot.file->look_whether_whole();
    return Error{ErrorCode::read_only, std::string("the shard's file could not be synced: ") + std::strerror(errno)};
  }
  Result<storage::CheckpointStep> step = slot.shard->begin_checkpoint();
  while (step && *step != storage::CheckpointStep::done) {
    if (*step == storage::CheckpointStep::work) {
      step = slot.shard->checkpoint_work(std::numeric_limits<std::uint32_t>::max());
      continue;
    }
    const bool synced = ::fdatasync(slot.file->fd()) == 0;
    step = slot.shard->checkpoint_synced(
        synced ? slot.file->look_whether_whole()
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

Status Recovery::note_stamps() {
  if (Status noted = node_.data->note_stamp(newest_stamp_us_); !noted) return noted;
  node_.stamps.begin_after(node_.data->stamped_us());
  return {};
}

Status Recovery::put_away() {
  for (const Segment& segment : segments_) {
    const bool damaged = std::ranges::any_of(
        accepted_, [&](const storage::LogDamage& damage) { return damage.segment == segment.name; });
    if (!segment.given_up && !damaged && !segment.has_gap) {
      seal(segment.name);
      continue;
    }
    // Before the first edit of this run: a later start must not find it and believe that it was replayed.
    if (damaged && !segment.given_up && !segment.records.empty() && node_.config.history_mib != 0) {
      const auto replayed = std::span(segment.bytes).first(segment.scan.end_at);
      const auto sealed = storage::seal_segment(replayed, segment.name, chunks_of_record);
      if (!sealed) return sealed.error();
      if (!sealed->file.empty())
        if (Status written = node_.data->write_history(segment.name, sealed->file); !written) return written;
    }
    const std::uint64_t now_us = runtime::wall_ns() / 1000;
    if (Status told = node_.reach.forget_before(*node_.data, now_us); !told) return told;
    if (Status aside = node_.data->set_aside_segment(segment.name); !aside) return aside;
    spdlog::warn("{}.damaged keeps what was given up; remove it when nobody needs it", io::file_of(segment.name));
  }
  return {};
}

}  // namespace

Result<RecoveryReport> recover(Node& node, std::span<const std::unique_ptr<CoreServices>> cores) {
  return Recovery(node, cores).run();
}

}  // namespace terrazzo::app

#include "server/app/history_keeper.h"

#include <spdlog/spdlog.h>

#include <mutex>
#include <utility>

#include "map/coords.h"
#include "server/runtime/clock.h"
#include "server/shard/log_record.h"

namespace terrazzo::app {
namespace {

Status seal(Node& node, const io::SegmentName& segment) {
  const Result<std::vector<std::byte>> bytes =
      node.data->read_segment(segment.core, segment.incarnation, segment.number);
  if (!bytes) return bytes.error();
  const Result<storage::SealedSegment> sealed = storage::seal_segment(*bytes, segment, chunks_of_record);
  if (!sealed) return sealed.error();
  // Every shard has what stood there: only history has a hole.
  if (sealed->scan.end == storage::WalScan::End::damaged)
    spdlog::error("{}: byte {} does not check; its history lacks what stood there: check the disk",
                  io::file_of(segment), sealed->scan.end_at);
  return sealed->file.empty() ? Status() : node.data->write_history(segment, sealed->file);
}

}  // namespace

void keep_history_limits(Node& node) {
  // Two workers that count at once would drop twice as much.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto files = node.data->list_history();
  if (!files) {
    spdlog::warn("{}", files.error().message);
    return;
  }
  std::uint64_t bytes = 0, kept = 0;
  for (const auto& file : *files) bytes += file.bytes;
  const std::uint64_t most = std::uint64_t{node.config.history_mib} << 20;
  const std::int64_t oldest = std::int64_t{node.config.history_days} * 24 * 3600;
  for (const auto& file : *files) {
    if (bytes <= most && file.age_s <= oldest) {
      ++kept;
      continue;
    }
    // Every record in it was asked for before it was sealed.
    const std::uint64_t sealed_us = runtime::wall_ns() / 1000 - static_cast<std::uint64_t>(file.age_s) * 1'000'000;
    Status removed = node.reach.forget_before(*node.data, sealed_us + 1'000'000);
    if (removed) removed = node.data->remove_history(file);
    if (!removed) {
      spdlog::warn("{}", removed.error().message);
      ++kept;
      continue;
    }
    bytes -= file.bytes;
    ++node.history.dropped;
  }
  node.history.bytes = bytes;
  node.history.files = kept;
}

void HistoryTimer::tick(std::uint64_t now_ns, unsigned core) {
  constexpr std::uint64_t kEveryNs = 3600 * runtime::kNsPerSecond;
  if (now_ns < due_ns_) return;
  const bool first = std::exchange(due_ns_, now_ns + kEveryNs) == 0;
  if (first) return;
  const auto look = [&node = node_]() -> WorkerPool::Done {
    keep_history_limits(node);
    return {};
  };
  // Nothing is lost by an hour more.
  if (!node_.workers->submit(core, look)) spdlog::warn("history: its limits are looked at in an hour");
}

storage::ChunkArea chunks_of_record(const storage::Record& record) {
  storage::ChunkArea area;
  Arena arena;
  const Result<shard::LoggedEdit> logged = shard::decode_edit(record.payload, arena);
  if (!logged) return area;
  const auto cover = [&](const map::Rect& cells) {
    const map::Rect chunks = map::chunks_of(cells);
    area.cover({chunks.x0, chunks.y0, chunks.x1, chunks.y1});
  };
  for (const map::Op& op : logged->edit.ops) cover(op.rect);
  if (logged->restore)
    for (const shard::Restore::Area& each : logged->restore->areas) cover(each.rect);
  return area;
}

void seal_into_history(Node& node, const io::SegmentName& segment) {
  if (node.config.history_mib != 0) {
    if (const Status sealed = seal(node, segment); !sealed) {
      ++node.history.failures;
      spdlog::warn("log segment {}-{} of core {} stays as it is: {}", segment.incarnation.value, segment.number,
                   segment.core, sealed.error().message);
      return;
    }
    ++node.history.sealed;
  } else if (const Status told = node.reach.forget_before(*node.data, runtime::wall_ns() / 1000); !told) {
    spdlog::warn("{}", told.error().message);
    return;
  }
  if (const Status removed = node.data->remove_segment(segment.core, segment.incarnation, segment.number); !removed)
    spdlog::warn("{}", removed.error().message);
  keep_history_limits(node);
}

}  // namespace terrazzo::app

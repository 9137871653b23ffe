#include "server/app/past.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "server/io/durable_file.h"
#include "server/shard/log_record.h"

namespace terrazzo::app {
namespace {

// A record is stamped where its connection is, and logged by the shard's owner: this much later at most, or the older
// one of two steps of which another core logged the newer one may be taken for the newer.
constexpr std::uint64_t kDelayUs = 1'000'000;
// Records at the beginning of a segment of which one was not delayed.
constexpr std::size_t kFirstRecords = 64;
constexpr std::size_t kFrontBytes = 1 << 20;

// Whether a page of zeros begins there.
bool zeros_at(std::span<const std::byte> bytes, std::uint64_t at) {
  if (at + storage::kPageBytes > bytes.size()) return false;
  return std::ranges::all_of(bytes.subspan(at, storage::kPageBytes), [](std::byte b) { return b == std::byte{}; });
}

}  // namespace

Result<Past> Past::open(const io::DataDirectory& data, storage::HistoryQuery blocks) {
  Past past(data, blocks);
  const auto segments = data.list_segments();
  if (!segments) return segments.error();
  const auto history = data.list_history();
  if (!history) return history.error();
  for (const io::SegmentName& segment : *segments) past.streams_[segment.core].segments.push_back(segment);
  for (const auto& file : *history) past.streams_[file.name.core].segments.push_back(file.name);
  for (auto& [core, stream] : past.streams_) {
    std::ranges::sort(stream.segments, {}, [](const io::SegmentName& s) { return std::pair(s.incarnation, s.number); });
    // One that is being sealed is there twice.
    const auto twice = std::ranges::unique(stream.segments);
    stream.segments.erase(twice.begin(), twice.end());
  }
  return past;
}

std::uint64_t Past::bound() const {
  const auto widest = std::ranges::max_element(streams_, {}, [](const auto& s) { return s.second.bound; });
  return widest == streams_.end() ? 0 : widest->second.bound;
}

Status Past::read_next(const std::function<void(const storage::Record&)>& each) {
  const auto widest = std::ranges::max_element(streams_, {}, [](const auto& s) { return s.second.bound; });
  TZ_ASSERT(widest != streams_.end() && widest->second.bound != 0);
  Stream& stream = widest->second;
  const io::SegmentName segment = stream.segments.back();
  stream.segments.pop_back();
  std::uint64_t first = 0;
  std::size_t stamped = 0;
  const Status read = visit(segment, [&](const storage::Record& record) {
    if (record.kind != storage::RecordKind::edit) return;
    if (stamped < kFirstRecords) {
      const auto head = shard::peek_edit(record.payload);
      if (head && head->time_us != 0) {
        ++stamped;
        first = std::max(first, head->time_us);
      }
    }
    each(record);
  });
  if (stamped != 0) stream.bound = std::min(stream.bound, first + kDelayUs);
  if (stream.segments.empty()) stream.bound = 0;
  return read;
}

Status Past::visit(const io::SegmentName& segment, const std::function<void(const storage::Record&)>& each) const {
  // A segment that is being written has zeros behind what is there: they need not all be read.
  for (std::size_t front = kFrontBytes;; front *= 8) {
    const auto bytes = data_->read_segment(segment.core, segment.incarnation, segment.number, front);
    if (!bytes) break;
    std::vector<storage::Record> records;
    const auto scanned = storage::scan_segment(*bytes, segment, [&](const auto& record) { records.push_back(record); });
    if (!scanned) return scanned.error();
    if (bytes->size() == front && !zeros_at(*bytes, scanned->end_at)) continue;
    for (const storage::Record& record : records) each(record);
    return {};
  }
  // Sealed meanwhile, or long ago.
  const auto history = data_->list_history();
  if (!history) return history.error();
  const auto file = std::ranges::find(*history, segment, &io::DataDirectory::HistoryFile::name);
  if (file == history->end()) return {};
  const Result<std::string> text = io::read_file(file->path);
  if (!text) return {};
  const auto reader = storage::HistoryReader::open(std::as_bytes(std::span(*text)));
  if (!reader) return Error{reader.error().code, file->path + ": " + reader.error().message};
  const auto read = reader->visit(blocks_, each);
  return read ? Status() : Status(Error{read.error().code, file->path + ": " + read.error().message});
}

}  // namespace terrazzo::app

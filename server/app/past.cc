#include "server/app/past.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "server/shard/log_record.h"

namespace terrazzo::app {
namespace {

// Records at the beginning of a segment of which one was not delayed.
constexpr std::size_t kFirstRecords = 64;

}  // namespace

Result<Past> Past::open(const io::DataDirectory& data, storage::HistoryQuery blocks) {
  Past past(data, blocks);
  const auto segments = list_past(data);
  if (!segments) return segments.error();
  for (const io::SegmentName& segment : *segments) past.streams_[segment.core].segments.push_back(segment);
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
  // What a start rolled forward was asked for long before it stood there: it says nothing of the segments before.
  const bool rolled = segment.number == 0;
  std::uint64_t first = 0;
  std::size_t stamped = 0;
  const Status read = visit_segment(*data_, segment, blocks_, [&](const storage::Record& record) {
    if (record.kind != storage::RecordKind::edit) return;
    if (!rolled && stamped < kFirstRecords) {
      const auto head = shard::peek_edit(record.payload);
      if (head && head->time_us != 0) {
        ++stamped;
        first = std::max(first, head->time_us);
      }
    }
    each(record);
  });
  if (stamped != 0) stream.bound = std::min(stream.bound, first + kStampDelayUs);
  if (stream.segments.empty()) stream.bound = 0;
  return read;
}

}  // namespace terrazzo::app

#include "server/app/past_segment.h"

#include <algorithm>
#include <optional>
#include <span>
#include <tuple>

#include "server/io/read_only_mapping.h"

namespace terrazzo::app {
namespace {

constexpr std::size_t kFrontBytes = 1 << 20;

// Whether a page of zeros begins there.
bool zeros_at(std::span<const std::byte> bytes, std::uint64_t at) {
  if (at + storage::kPageBytes > bytes.size()) return false;
  return std::ranges::all_of(bytes.subspan(at, storage::kPageBytes), [](std::byte b) { return b == std::byte{}; });
}

// Not the end of what is kept: what cannot be read now may have the very edit that is asked for.
Error cannot_be_read(const Error& why) {
  return {ErrorCode::internal, "the server's record of past edits cannot be read: " + why.message + "; try again"};
}

// False: it is not in the log any more.
Result<bool> visit_in_log(const io::DataDirectory& data, const io::SegmentName& segment,
                          const std::function<void(const storage::Record&)>& each) {
  // A segment that is being written has zeros behind what is there: they need not all be read.
  for (std::size_t front = kFrontBytes;; front *= 8) {
    const auto bytes = data.read_segment(segment.core, segment.incarnation, segment.number, front);
    if (!bytes && bytes.error().code == ErrorCode::not_found) return false;
    if (!bytes) return cannot_be_read(bytes.error());
    std::vector<storage::Record> records;
    const auto scanned = storage::scan_segment(*bytes, segment, [&](const auto& record) { records.push_back(record); });
    if (!scanned) return scanned.error();
    if (bytes->size() == front && !zeros_at(*bytes, scanned->end_at)) continue;
    for (const storage::Record& record : records) each(record);
    return true;
  }
}

// Nothing: the oldest history went, and this with it.
Status visit_sealed(const io::DataDirectory& data, const io::SegmentName& segment,
                    const std::function<Status(const storage::HistoryReader&)>& visit) {
  const auto history = data.list_history();
  if (!history) return history.error();
  const auto file = std::ranges::find(*history, segment, &io::DataDirectory::HistoryFile::name);
  if (file == history->end()) return {};
  const auto mapping = io::ReadOnlyMapping::open(file->path, io::Reads::here_and_there);
  if (!mapping) return mapping.error().code == ErrorCode::not_found ? Status() : Status(cannot_be_read(mapping.error()));
  const auto reader = storage::HistoryReader::open((*mapping)->bytes());
  const Status visited = reader ? visit(*reader) : Status(reader.error());
  return visited ? Status() : Status(Error{visited.error().code, file->path + ": " + visited.error().message});
}

}  // namespace

Result<std::vector<io::SegmentName>> list_past(const io::DataDirectory& data) {
  auto segments = data.list_segments();
  if (!segments) return segments;
  const auto history = data.list_history();
  if (!history) return history.error();
  for (const auto& file : *history) segments->push_back(file.name);
  std::ranges::sort(*segments, {},
                    [](const io::SegmentName& s) { return std::tuple(s.core, s.incarnation.value, s.number); });
  // One that is being sealed is there twice.
  const auto twice = std::ranges::unique(*segments);
  segments->erase(twice.begin(), twice.end());
  return segments;
}

Status visit_segment(const io::DataDirectory& data, const io::SegmentName& segment, const storage::HistoryQuery& blocks,
                     const std::function<void(const storage::Record&)>& each) {
  const Result<bool> in_log = visit_in_log(data, segment, each);
  if (!in_log) return in_log.error();
  if (*in_log) return {};
  return visit_sealed(data, segment, [&](const storage::HistoryReader& reader) {
    const auto read = reader.visit(blocks, each);
    return read ? Status() : Status(read.error());
  });
}

Status visit_parts(const io::DataDirectory& data, const io::SegmentName& segment,
                   const storage::HistoryReader::PartVisit& each) {
  const Result<bool> in_log = visit_in_log(data, segment, [&](const storage::Record& record) {
    if (record.kind == storage::RecordKind::edit) each(record.shard, record.lsn, record.lsn, {});
  });
  if (!in_log) return in_log.error();
  if (*in_log) return {};
  return visit_sealed(data, segment, [&](const storage::HistoryReader& reader) {
    reader.for_each_part(each);
    return Status();
  });
}

}  // namespace terrazzo::app

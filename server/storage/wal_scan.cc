#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/canary.h"
#include "base/crc32c.h"
#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server/storage/wal_format.h"

namespace terrazzo::storage {
namespace {

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t to) {
  return (bytes + to - 1) / to * to;
}

bool is_kind(std::uint8_t kind) {
  return kind == static_cast<std::uint8_t>(RecordKind::edit) ||
         kind == static_cast<std::uint8_t>(RecordKind::coordinated);
}

template <class T>
T load(std::span<const std::byte> bytes, std::uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

enum class Header : std::uint8_t { none, ours, of_another_segment };

class Scanner {
 public:
  Scanner(std::span<const std::byte> bytes, const SegmentName& name)
      : bytes_(bytes), name_(name), salt_(record_salt(name.incarnation.value, name.core, name.number)) {}

  Result<WalScan> run(const std::function<void(const Record&)>& visit,
                      const std::function<void(const Record&)>& visit_behind) {
    if (bytes_.size() < kPageBytes) return scan_;
    const Result<Header> header = read_header();
    if (!header) return header.error();
    scan_.begun = *header == Header::ours;
    if (scan_.begun) {
      at_ = kPageBytes;
      if (Status read = read_groups(visit); !read) return read.error();
    }
    scan_.end_at = at_;
    search();
    judge(visit_behind);
    return scan_;
  }

 private:
  // A whole record found behind the end.
  struct Found {
    std::uint64_t at;
    std::uint32_t group_page;
  };

  Result<Header> read_header() const;
  Status read_groups(const std::function<void(const Record&)>& visit);
  bool whole(std::uint64_t at, const RecordHeader& header, std::uint64_t salt) const;
  // Whether the record may stand here, as the groups go.
  bool follows(const RecordHeader& record) const;
  bool step_over_padding();
  void search();
  void judge(const std::function<void(const Record&)>& visit_behind);
  Record record_at(std::uint64_t at, const RecordHeader& header) const {
    return {static_cast<RecordKind>(header.kind),
            {WorldId{header.world}, header.x, header.y},
            Lsn{header.lsn},
            bytes_.subspan(at + sizeof header, header.bytes)};
  }
  std::uint64_t behind(std::uint64_t at, const RecordHeader& header) const {
    // A file cut right behind a payload lacks the zeros up to a multiple of 8.
    return std::min<std::uint64_t>(at + sizeof header + round_up(header.bytes, 8), bytes_.size());
  }

  std::span<const std::byte> bytes_;
  const SegmentName name_;
  const std::uint64_t salt_;
  WalScan scan_;
  std::uint64_t at_ = 0;
  std::optional<std::uint32_t> open_;  // the first page of the group whose last record is still to come
  bool numbered_ = true;
  std::vector<Found> found_;
  bool anything_ = false, past_ = false;  // behind the end: bytes other than zeros; whole records of other segments
};

Result<Header> Scanner::read_header() const {
  const auto header = load<SegmentHeader>(bytes_, 0);
  if (header.magic != kSegmentMagic ||
      header.crc != crc32c({reinterpret_cast<const std::byte*>(&header), offsetof(SegmentHeader, crc)}))
    return Header::none;
  if (header.version != kSegmentVersion) {
    return Error{
        ErrorCode::unsupported,
        fmt::format("the log segment has format version {}, this server reads {}: start the version that wrote it, "
                    "stop it cleanly, then this one",
                    header.version, kSegmentVersion)};
  }
  if (SegmentName{header.core, Incarnation{header.incarnation}, header.number} == name_) return Header::ours;
  return Error{ErrorCode::internal, fmt::format("it holds log segment {}-{} of core {}: give the file its name back, "
                                                "wal/core-{:02}/{}-{}.wal",
                                                header.incarnation, header.number, header.core, header.core,
                                                header.incarnation, header.number)};
}

bool Scanner::whole(std::uint64_t at, const RecordHeader& header, std::uint64_t salt) const {
  if (header.salt != salt || header.bytes >= kRecordBytesMax) return false;
  if (header.bytes > bytes_.size() - at - sizeof header) return false;
  constexpr std::size_t skipped = offsetof(RecordHeader, salt);
  if (canary::is(canary::Bug::torn_tail_believed)) return true;
  return header.crc == crc32c(bytes_.subspan(at + skipped, sizeof header - skipped + header.bytes));
}

bool Scanner::follows(const RecordHeader& record) const {
  if ((record.flags & kNumbered) == 0) return !open_;
  return open_ ? record.group_page == *open_ : at_ % kPageBytes == 0 && record.group_page == at_ / kPageBytes;
}

// Of groups without numbers it is not known where they end: zeros up to the end of the page are taken for padding.
bool Scanner::step_over_padding() {
  const std::uint64_t next_page = round_up(at_, kPageBytes);
  if (numbered_ || next_page == at_ || next_page >= bytes_.size()) return false;
  const auto rest = bytes_.subspan(at_, next_page - at_);
  if (!std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; })) return false;
  at_ = next_page;
  return true;
}

Status Scanner::read_groups(const std::function<void(const Record&)>& visit) {
  while (bytes_.size() - at_ >= sizeof(RecordHeader)) {
    const auto record = load<RecordHeader>(bytes_, at_);
    if (!whole(at_, record, salt_) || !follows(record)) {
      if (step_over_padding()) continue;
      break;
    }
    if (!is_kind(record.kind)) {
      return Error{ErrorCode::unsupported,
                   fmt::format("the log holds a record of kind {}, unknown to this server", record.kind)};
    }
    visit(record_at(at_, record));
    ++scan_.records;
    at_ = behind(at_, record);
    numbered_ = (record.flags & kNumbered) != 0;
    if (!numbered_) continue;
    if (!scan_.first_ordinal) scan_.first_ordinal = record.ordinal;
    scan_.last_ordinal = record.ordinal;
    open_ = record.group_page;
    if ((record.flags & kLastOfGroup) == 0) continue;
    open_.reset();
    at_ = std::min<std::uint64_t>(round_up(at_, kPageBytes), bytes_.size());
  }
  return {};
}

// Whole records of this segment behind the end, wherever they begin. One pass that compares each word with the salt is
// as cheap as one that looks for zeros. Payloads are what clients chose and may be full of beginnings of records: what
// their checksums may cost altogether is limited, and only who makes them up can use it up.
void Scanner::search() {
  std::uint64_t budget = 4 * bytes_.size();
  std::uint64_t words = 0;
  for (std::uint64_t at = round_up(at_, 8); bytes_.size() - at >= sizeof(RecordHeader) && at < bytes_.size();) {
    const auto salt = load<std::uint64_t>(bytes_, at + offsetof(RecordHeader, salt));
    words |= load<std::uint64_t>(bytes_, at);
    if (at % kPageBytes == 0 && salt != 0 && salt != salt_ && !past_)
      past_ = whole(at, load<RecordHeader>(bytes_, at), salt);
    if (salt != salt_) {
      at += 8;
      continue;
    }
    const auto record = load<RecordHeader>(bytes_, at);
    const bool possible = is_kind(record.kind) && (record.flags & kNumbered) != 0 &&
                          std::uint64_t{record.group_page} * kPageBytes <= at && record.bytes <= budget;
    words |= 1;
    if (possible && whole(at, record, salt_)) {
      found_.push_back({at, record.group_page});
      at = behind(at, record);
      continue;
    }
    if (possible) budget -= std::min<std::uint64_t>(record.bytes, bytes_.size() - at);
    at += 8;
  }
  for (std::uint64_t at = bytes_.size() - std::min<std::uint64_t>(bytes_.size() - at_, sizeof(RecordHeader));
       at < bytes_.size(); ++at)
    words |= std::to_integer<std::uint64_t>(bytes_[at]);
  anything_ = words != 0;
}

void Scanner::judge(const std::function<void(const Record&)>& visit_behind) {
  // The group that does not check. Where the header page is the one, the first group may be whole.
  const auto here = static_cast<std::uint32_t>(std::max(at_, kPageBytes) / kPageBytes);
  const std::uint32_t failing = open_.value_or(here);
  const bool later = std::ranges::any_of(found_, [&](const Found& f) { return f.group_page > failing; });
  if (later) {
    scan_.end = WalScan::End::damaged;
    scan_.begun = true;
    const std::uint32_t counted_from = at_ == 0 ? 0 : failing;
    std::uint32_t last = counted_from;
    for (const Found& found : found_) {
      if (found.group_page > last) {
        ++scan_.groups_behind;
        last = found.group_page;
      }
      ++scan_.records_behind;
      if (visit_behind) visit_behind(record_at(found.at, load<RecordHeader>(bytes_, found.at)));
    }
    return;
  }
  if (!found_.empty()) scan_.begun = true;
  if (open_ || !found_.empty() || (anything_ && !past_)) scan_.end = WalScan::End::torn;
}

}  // namespace

Result<WalScan> scan_segment(std::span<const std::byte> bytes, const SegmentName& name,
                             const std::function<void(const Record&)>& visit,
                             const std::function<void(const Record&)>& visit_behind) {
  return Scanner(bytes, name).run(visit, visit_behind);
}

}  // namespace terrazzo::storage

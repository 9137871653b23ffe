#include <cstddef>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server/storage/wal_format.h"

namespace terrazzo::storage {
namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

// Two buffers change places: one gathers, one is being written. Both keep their memory.
struct WalWriter::State {
  std::uint32_t core;
  std::uint64_t incarnation;
  std::uint32_t segment;  // that groups go to; its file exists once `opened`
  std::uint64_t segment_bytes;
  bool opened = false;
  std::uint64_t offset = 0;  // in the segment, of the next group

  std::vector<std::byte> gathering, writing;
  std::uint64_t appended = 0, handed_out = 0, durable = 0;
  std::uint16_t ordinal = 0;  // of the group handed out last
  bool in_flight = false;
  bool failed = false;

  std::uint64_t salt() const { return record_salt(incarnation, core, segment); }
  // `first_page`: of the group.
  void seal(std::byte* record, std::uint8_t flags, std::uint32_t first_page) const;
  void put_header(std::byte* page) const;
};

WalWriter::WalWriter(std::uint32_t core, Incarnation incarnation, std::uint32_t first_segment,
                     std::uint64_t segment_bytes)
    : state_(new State{
          core, incarnation.value, first_segment, segment_bytes, false, 0, {}, {}, 0, 0, 0, 0, false, false}) {
  TZ_ASSERT(segment_bytes % kPageBytes == 0 && segment_bytes >= 4 * kPageBytes);
}
WalWriter::~WalWriter() = default;

std::uint64_t WalWriter::append(const Record& record) {
  State& s = *state_;
  TZ_ASSERT(record.payload.size() < kRecordBytesMax);
  const std::size_t at = s.gathering.size();
  s.gathering.resize(at + sizeof(RecordHeader) + round_up(record.payload.size(), 8));
  RecordHeader header{};
  header.bytes = static_cast<std::uint32_t>(record.payload.size());
  header.lsn = record.lsn.value;
  header.world = record.shard.world.value;
  header.x = record.shard.x;
  header.y = record.shard.y;
  header.kind = static_cast<std::uint8_t>(record.kind);
  std::memcpy(s.gathering.data() + at, &header, sizeof header);
  if (!record.payload.empty())
    std::memcpy(s.gathering.data() + at + sizeof header, record.payload.data(), record.payload.size());
  return ++s.appended;
}

std::uint64_t WalWriter::appended_sequence() const {
  return state_->appended;
}
std::uint64_t WalWriter::durable_sequence() const {
  return state_->durable;
}
std::size_t WalWriter::pending_bytes() const {
  return state_->gathering.size();
}
bool WalWriter::failed() const {
  return state_->failed;
}

// The salt depends on the segment, which is known only when the group goes out.
void WalWriter::State::seal(std::byte* record, std::uint8_t flags, std::uint32_t first_page) const {
  RecordHeader header;
  std::memcpy(&header, record, sizeof header);
  header.salt = salt();
  header.flags = flags;
  header.ordinal = ordinal;
  header.group_page = first_page;
  std::memcpy(record, &header, sizeof header);
  constexpr std::size_t skipped = offsetof(RecordHeader, salt);
  header.crc = crc32c({record + skipped, sizeof header - skipped + header.bytes});
  std::memcpy(record, &header, sizeof header);
}

void WalWriter::State::put_header(std::byte* page) const {
  SegmentHeader header{kSegmentMagic, kSegmentVersion, core, incarnation, segment, 0};
  header.crc = crc32c({reinterpret_cast<const std::byte*>(&header), offsetof(SegmentHeader, crc)});
  std::memcpy(page, &header, sizeof header);
}

std::optional<WalWrite> WalWriter::next_group() {
  State& s = *state_;
  if (s.in_flight || s.failed || s.gathering.empty()) return std::nullopt;
  const std::size_t padded = round_up(s.gathering.size(), kPageBytes);
  // A group that does not fit goes to a segment of its own size: segments are at least segment_bytes, not at most.
  if (s.opened && s.offset + padded > s.segment_bytes) {
    ++s.segment;
    s.opened = false;
  }
  WalWrite write;
  write.new_segment = !s.opened;
  if (!s.opened) {
    // The header page travels with the first group.
    s.gathering.insert(s.gathering.begin(), kPageBytes, std::byte{0});
    s.offset = 0;
  }
  const std::size_t first = s.opened ? 0 : kPageBytes, end = s.gathering.size();
  if (!s.opened) s.put_header(s.gathering.data());
  ++s.ordinal;
  const auto first_page = static_cast<std::uint32_t>((s.offset + first) / kPageBytes);
  for (std::size_t at = first; at < end;) {
    RecordHeader header;
    std::memcpy(&header, s.gathering.data() + at, sizeof header);
    const std::size_t next = at + sizeof header + round_up(header.bytes, 8);
    s.seal(s.gathering.data() + at, next < end ? kNumbered : kNumbered | kLastOfGroup, first_page);
    at = next;
  }
  s.gathering.resize(round_up(end, kPageBytes));
  s.opened = true;
  std::swap(s.gathering, s.writing);
  s.gathering.clear();
  s.handed_out = s.appended;
  s.in_flight = true;
  write.segment = s.segment;
  write.offset = s.offset;
  write.bytes = s.writing;
  s.offset += s.writing.size();
  return write;
}

void WalWriter::group_synced(Status outcome) {
  State& s = *state_;
  TZ_ASSERT(s.in_flight);
  s.in_flight = false;
  if (!outcome) {
    s.failed = true;
    return;
  }
  s.durable = s.handed_out;
}

}  // namespace terrazzo::storage

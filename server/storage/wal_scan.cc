#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/crc32c.h"
#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server/storage/wal_format.h"

namespace terrazzo::storage {
namespace {

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t to) {
  return (bytes + to - 1) / to * to;
}

bool whole(std::span<const std::byte> bytes, std::uint64_t at, const RecordHeader& header, std::uint64_t salt) {
  if (header.salt != salt || header.bytes >= kRecordBytesMax) return false;
  if (header.bytes > bytes.size() - at - sizeof header) return false;
  constexpr std::size_t skipped = offsetof(RecordHeader, salt);
  return header.crc == crc32c(bytes.subspan(at + skipped, sizeof header - skipped + header.bytes));
}

bool is_padding(std::span<const std::byte> rest) {
  return !rest.empty() && std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; });
}

bool is_kind(std::uint8_t kind) {
  return kind == static_cast<std::uint8_t>(RecordKind::edit) ||
         kind == static_cast<std::uint8_t>(RecordKind::coordinated);
}

}  // namespace

Result<WalScan> scan_segment(std::span<const std::byte> bytes, const std::function<void(const Record&)>& visit) {
  WalScan scan;
  SegmentHeader header;
  // A segment whose first group never reached the disk has no header: nothing in it was ever acknowledged.
  if (bytes.size() < kPageBytes) return scan;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kSegmentMagic ||
      header.crc != crc32c({reinterpret_cast<const std::byte*>(&header), offsetof(SegmentHeader, crc)}))
    return scan;
  if (header.version != kSegmentVersion) {
    return Error{
        ErrorCode::unsupported,
        fmt::format("the log segment has format version {}, this server reads {}: start the version that wrote it, "
                    "stop it cleanly, then this one",
                    header.version, kSegmentVersion)};
  }
  const std::uint64_t salt = record_salt(header.incarnation, header.core, header.number);
  std::uint64_t at = kPageBytes;
  while (bytes.size() - at >= sizeof(RecordHeader)) {
    RecordHeader record;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    if (!whole(bytes, at, record, salt)) {
      // Zeros up to the end of the page are the padding of a group; anything else is where the log was torn.
      const std::uint64_t next_page = round_up(at, kPageBytes);
      if (next_page < bytes.size() && is_padding(bytes.subspan(at, next_page - at))) {
        at = next_page;
        continue;
      }
      break;
    }
    if (!is_kind(record.kind)) {
      return Error{ErrorCode::unsupported,
                   fmt::format("the log holds a record of kind {}, unknown to this server", record.kind)};
    }
    visit({static_cast<RecordKind>(record.kind),
           {WorldId{record.world}, record.x, record.y},
           Lsn{record.lsn},
           bytes.subspan(at + sizeof record, record.bytes)});
    ++scan.records;
    // A file cut right behind a payload lacks the zeros up to a multiple of 8.
    at = std::min<std::uint64_t>(at + sizeof record + round_up(record.bytes, 8), bytes.size());
    scan.bytes_valid = at;
  }
  return scan;
}

}  // namespace terrazzo::storage

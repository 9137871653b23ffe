#pragma once

#include <cstdint>

// A log segment as bytes (docs/storage.md): one page of header, then records one after another, each group of records
// padded with zeros to a whole page. Little-endian.
namespace terrazzo::storage {

inline constexpr std::uint64_t kSegmentMagic = 0x314C4157'5A525254ull;  // "TRRZWAL1"
inline constexpr std::uint32_t kSegmentVersion = 2;
inline constexpr std::uint32_t kRecordBytesMax = 1u << 30;

struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t core;
  std::uint64_t incarnation;
  std::uint32_t number;
  std::uint32_t crc;  // crc32c of the fields before
};
static_assert(sizeof(SegmentHeader) == 32);

// Flags of a record. Logs of older servers have records that do not say which group they belong to.
inline constexpr std::uint8_t kNumbered = 1, kLastOfGroup = 2;

// Followed by `bytes` of payload, then zeros up to a multiple of 8. Behind the last record of a group the next begins
// at the next page. What tells a group apart from its neighbours is in each of its records, so that any one that is
// whole proves that the groups before it were durable: one group is under way at a time.
struct RecordHeader {
  std::uint32_t bytes;
  std::uint32_t crc;   // crc32c of everything after this field, payload included
  std::uint64_t salt;  // incarnation, core and segment: bytes of another file, or of a disk's past, are foreign
  std::uint64_t lsn;
  std::uint64_t world;
  std::int32_t x, y;
  std::uint8_t kind;
  std::uint8_t flags;
  std::uint16_t ordinal;     // of the group among those of the run, modulo 65536; the first is 1
  std::uint32_t group_page;  // where its group begins in the segment, in pages
};
static_assert(sizeof(RecordHeader) == 48);

constexpr std::uint64_t record_salt(std::uint64_t incarnation, std::uint32_t core, std::uint32_t number) {
  return (incarnation << 40) ^ (std::uint64_t{core} << 32) ^ number ^ 0x9E3779B97F4A7C15ull;
}

}  // namespace terrazzo::storage

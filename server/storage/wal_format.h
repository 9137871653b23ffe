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

// Followed by `bytes` of payload, then zeros up to a multiple of 8. A zero length is padding: the next record starts at
// the next page.
struct RecordHeader {
  std::uint32_t bytes;
  std::uint32_t crc;   // crc32c of everything after this field, payload included
  std::uint64_t salt;  // incarnation, core and segment: records of a recycled file's past are foreign
  std::uint64_t lsn;
  std::uint64_t world;
  std::int32_t x, y;
  std::uint8_t kind;
  std::uint8_t reserved[7];
};
static_assert(sizeof(RecordHeader) == 48);

constexpr std::uint64_t record_salt(std::uint64_t incarnation, std::uint32_t core, std::uint32_t number) {
  return (incarnation << 40) ^ (std::uint64_t{core} << 32) ^ number ^ 0x9E3779B97F4A7C15ull;
}

}  // namespace terrazzo::storage

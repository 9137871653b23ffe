#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server/storage/wal_format.h"

// A log on a disk of memory, and what the scan reads from it.
namespace terrazzo::storage {

inline constexpr std::uint64_t kSegmentBytes = 16 * kPageBytes;

struct Kept {
  RecordKind kind;
  ShardIdentity shard;
  std::uint64_t lsn;
  std::vector<std::byte> payload;
  bool operator==(const Kept&) const = default;
};

inline Kept kept(const Record& record) {
  return {record.kind, record.shard, record.lsn.value, {record.payload.begin(), record.payload.end()}};
}

inline Kept made(std::uint64_t lsn, std::size_t size) {
  Kept record{lsn % 5 == 0 ? RecordKind::coordinated : RecordKind::edit,
              {WorldId{7 + lsn % 3}, static_cast<std::int32_t>(lsn) - 4, -static_cast<std::int32_t>(lsn)},
              lsn,
              std::vector<std::byte>(size)};
  for (std::size_t i = 0; i < size; ++i) record.payload[i] = static_cast<std::byte>((lsn * 17 + i) & 255);
  return record;
}

inline Record view(const Kept& record) {
  return {record.kind, record.shard, Lsn{record.lsn}, record.payload};
}

// The files a driver would have: zero-written at first, or what a recycled file held.
struct Disk {
  std::map<std::uint32_t, std::vector<std::byte>> segments;

  void write(const WalWrite& group) {
    std::vector<std::byte>& file = segments[group.segment];
    if (file.size() < kSegmentBytes) file.resize(kSegmentBytes);
    const std::size_t end = group.offset + group.bytes.size();
    if (file.size() < end) file.resize(end);
    std::memcpy(file.data() + group.offset, group.bytes.data(), group.bytes.size());
  }
  // One group, made durable.
  WalWrite sync(WalWriter& writer) {
    const std::optional<WalWrite> group = writer.next_group();
    EXPECT_TRUE(group.has_value());
    write(*group);
    writer.group_synced({});
    return *group;
  }
};

struct Scanned {
  std::vector<Kept> records, behind;
  WalScan scan;
};

// `name`: core, incarnation and number that the segment is said to have.
inline Scanned scanned(std::span<const std::byte> bytes, const SegmentName& name) {
  Scanned found;
  const Result<WalScan> scan = scan_segment(
      bytes, name, [&](const Record& record) { found.records.push_back(kept(record)); },
      [&](const Record& record) { found.behind.push_back(kept(record)); });
  EXPECT_TRUE(scan.ok()) << scan.error().message;
  if (scan) found.scan = *scan;
  EXPECT_EQ(found.scan.records, found.records.size());
  EXPECT_LE(found.scan.end_at, bytes.size());
  EXPECT_EQ(found.scan.records_behind, found.behind.size());
  return found;
}

inline std::vector<Kept> append(WalWriter& writer, std::uint64_t first, std::initializer_list<std::size_t> sizes) {
  std::vector<Kept> records;
  for (const std::size_t size : sizes) {
    records.push_back(made(first++, size));
    writer.append(view(records.back()));
  }
  return records;
}

inline bool is_prefix(const std::vector<Kept>& part, const std::vector<Kept>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

}  // namespace terrazzo::storage

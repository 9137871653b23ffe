#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// The pages of a shard file (docs/storage.md), for the server that writes it and for programs on the same host that
// read it. Little-endian.
namespace terrazzo::shardfile {

inline constexpr std::size_t kPageBytes = 4096;
using PageNo = std::uint32_t;

inline constexpr std::uint64_t kRootMagic = 0x31444853'5A525254ull;  // "TRRZSHD1"
inline constexpr std::uint32_t kShardFormatVersion = 2;
inline constexpr PageNo kRootSlots = 2;  // pages 0 and 1
inline constexpr std::size_t kNodeEntries = 256;
inline constexpr std::size_t kPageWords = kPageBytes / 4;
inline constexpr int kNodeLevels = 3;  // layer directory, region node, leaf node

enum class Tag : std::uint8_t {
  empty = 0,    // all cells below are 0 and were never touched
  page = 1,     // `value` is the page below
  uniform = 2,  // all cells below are `value`
  blob = 3,     // in a leaf only: `value` is the first page of a chain of bytes (objects of the chunk)
};

// One entry of a node. What lies below was last touched by edit `revision`; for an entry above a leaf that is exact
// only at a checkpoint, in between it is the first edit after the last pin, which is all the private test needs.
struct Entry {
  std::uint64_t tag_and_revision = 0;
  std::uint32_t value = 0;
  std::uint32_t crc = 0;  // page_checksum() of the page below; 0: not computed yet, a checkpoint does

  static constexpr std::uint64_t kRevisionMask = (std::uint64_t{1} << 56) - 1;
  constexpr Tag tag() const { return static_cast<Tag>(tag_and_revision >> 56); }
  constexpr std::uint64_t revision() const { return tag_and_revision & kRevisionMask; }
  // Whether there is a page below.
  constexpr bool has_page() const { return tag() == Tag::page || tag() == Tag::blob; }
  static constexpr Entry make(Tag tag, std::uint64_t revision, std::uint32_t value) {
    return {static_cast<std::uint64_t>(tag) << 56 | revision, value, 0};
  }
  void set_revision(std::uint64_t revision) { tag_and_revision = (tag_and_revision & ~kRevisionMask) | revision; }
};
static_assert(sizeof(Entry) == 16);

using Node = std::array<Entry, kNodeEntries>;
static_assert(sizeof(Node) == kPageBytes);

// Bytes in a chain of pages.
struct ChainRef {
  PageNo first = 0;  // 0: no bytes
  std::uint32_t bytes = 0;
  std::uint32_t crc = 0;  // crc32c of the bytes
};
struct ChainPage {
  PageNo next;        // 0: the last
  std::uint32_t crc;  // crc32c of `bytes`, used or not
  std::byte bytes[kPageBytes - 8];
};
static_assert(sizeof(ChainPage) == kPageBytes);

// Of a blob in the tree. Its checksums chain, so that the entry's proves all of it.
struct BlobPage {
  PageNo next;             // 0: the last
  std::uint32_t next_crc;  // page_checksum() of it
  std::uint32_t bytes;     // from this page on
  std::uint32_t reserved;
  std::byte content[kPageBytes - 16];
};
static_assert(sizeof(BlobPage) == kPageBytes);

// Fits a disk's sector, so that a write of it is not torn.
struct Root {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t pages;  // of the file when this was written; what lies behind is free
  std::uint64_t world;
  std::int32_t x, y;
  std::uint64_t generation;  // the larger one of the two slots counts
  std::uint64_t lsn;
  Entry layers;       // the layer directory of the main head
  ChainRef aux;       // of the store's owner
  ChainRef table;     // TableRecords: versions, undo points, branches
  ChainRef free;      // a bit for each page, 1: free
  std::uint32_t crc;  // crc32c of everything before
};
static_assert(sizeof(Root) == 104);

enum class TableKind : std::uint32_t {
  version = 1,
  undo_point = 2,
  branch = 3,
  snapshot = 4,  // nobody's after the run: always being dropped, so that the pages only it reaches are found
};

// A tree besides the main head's.
struct TableRecord {
  TableKind kind;
  std::uint32_t head;  // whose state it is; of a branch: its own number
  std::uint64_t id;    // of the version, undo point or branch
  std::uint64_t lsn;
  std::uint32_t cursor;  // being dropped: leaves (layer << 8 | region) before this one are given back already
  std::uint32_t dropping;
  Entry top;
};
static_assert(sizeof(TableRecord) == 48);

// A chunk's place: y * 256 + x in the shard → region (16×16 chunks) and index in it.
constexpr std::uint8_t region_of(std::uint16_t chunk) {
  return static_cast<std::uint8_t>((chunk >> 12 << 4) | (chunk >> 4 & 15));
}
constexpr std::uint8_t index_of(std::uint16_t chunk) {
  return static_cast<std::uint8_t>((chunk >> 8 & 15) << 4 | (chunk & 15));
}
constexpr std::uint16_t chunk_of(std::uint8_t region, std::uint8_t index) {
  return static_cast<std::uint16_t>((region >> 4) << 12 | (index >> 4) << 8 | (region & 15) << 4 | (index & 15));
}

}  // namespace terrazzo::shardfile

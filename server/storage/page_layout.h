#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "server/storage/page_file.h"

// The pages of a shard file (docs/storage.md). Little-endian.
namespace terrazzo::storage {

inline constexpr std::uint64_t kRootMagic = 0x31444853'5A525254ull;  // "TRRZSHD1"
inline constexpr std::uint32_t kShardFormatVersion = 1;
inline constexpr PageNo kRootSlots = 2;  // pages 0 and 1
inline constexpr std::size_t kNodeEntries = 256;
inline constexpr std::size_t kPageWords = kPageBytes / 4;

enum class Tag : std::uint8_t {
  empty = 0,    // all cells below are 0 and were never touched
  page = 1,     // `value` is the page below
  uniform = 2,  // all cells below are `value`
};

// One entry of a node. What lies below was last touched by edit `revision`; for an entry above a leaf that is exact
// only at a checkpoint, in between it is the first edit after the last pin, which is all the private test needs.
struct Entry {
  std::uint64_t tag_and_revision = 0;
  std::uint32_t value = 0;
  std::uint32_t crc = 0;  // of the page below, filled in at the checkpoint

  static constexpr std::uint64_t kRevisionMask = (std::uint64_t{1} << 56) - 1;
  constexpr Tag tag() const { return static_cast<Tag>(tag_and_revision >> 56); }
  constexpr std::uint64_t revision() const { return tag_and_revision & kRevisionMask; }
  static constexpr Entry make(Tag tag, std::uint64_t revision, std::uint32_t value) {
    return {static_cast<std::uint64_t>(tag) << 56 | revision, value, 0};
  }
  void set_revision(std::uint64_t revision) { tag_and_revision = (tag_and_revision & ~kRevisionMask) | revision; }
};
static_assert(sizeof(Entry) == 16);

using Node = std::array<Entry, kNodeEntries>;
static_assert(sizeof(Node) == kPageBytes);

// Fits a disk's sector, so that a write of it is not torn.
struct Root {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t pages;  // of the file when this was written
  std::uint64_t world;
  std::int32_t x, y;
  std::uint64_t generation;  // the larger one of the two slots counts
  std::uint64_t lsn;
  Entry layers;  // the layer directory
  std::uint32_t aux_page, aux_bytes, aux_crc;
  std::uint32_t crc;  // crc32c of everything before
};
static_assert(sizeof(Root) == 80);

// The store's owner keeps bytes of its own with a root: a chain of pages.
struct AuxPage {
  PageNo next;  // 0: the last
  std::uint32_t reserved;
  std::byte bytes[kPageBytes - 8];
};
static_assert(sizeof(AuxPage) == kPageBytes);

}  // namespace terrazzo::storage

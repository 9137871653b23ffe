#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shardfile/page_layout.h"

namespace terrazzo::shardfile {

// One chunk of one layer. `cells`: 1024 row-major cells in the mapping, or null when every cell is `fill`. `blob`: the
// first page of the chunk's bytes, 0: none. `revision`: LSN of the newest edit that touched the chunk; 0: never
// touched.
struct ChunkView {
  const std::uint32_t* cells = nullptr;
  std::uint32_t fill = 0;
  std::uint64_t revision = 0;
  PageNo blob = 0;
  // A page number on the way lies outside the file: nothing else here counts.
  bool damaged = false;
};

// Never 0, which means "not computed".
std::uint32_t page_checksum(const std::byte* page);

// An entry of a tree that nobody changes, but whose checksum and revision a checkpoint may be filling in at this
// moment.
inline Entry load(const Entry& entry) {
  auto& writable = const_cast<Entry&>(entry);
  return {std::atomic_ref(writable.tag_and_revision).load(std::memory_order_relaxed), entry.value,
          std::atomic_ref(writable.crc).load(std::memory_order_relaxed)};
}

// Reads a pinned tree in a mapping of its file: any thread, any process. Checks every page number, no checksums.
// `file`: at least the pages the file had when the tree was pinned; must stay mapped.
class TreeReader {
 public:
  TreeReader(std::span<const std::byte> file, const Entry& top)
      : base_(file.data()), pages_(static_cast<PageNo>(file.size() / kPageBytes)), top_(top) {}

  // layer 0..255; chunk = y * 256 + x inside the shard.
  ChunkView read(std::uint8_t layer, std::uint16_t chunk) const;
  const Entry& top() const { return top_; }
  bool inside(PageNo page) const { return page >= kRootSlots && page < pages_; }
  const Node& node(PageNo page) const { return *reinterpret_cast<const Node*>(bytes(page)); }
  const std::byte* bytes(PageNo page) const { return base_ + std::size_t{page} * kPageBytes; }

 private:
  const std::byte* base_;
  PageNo pages_;
  Entry top_;
};

}  // namespace terrazzo::shardfile

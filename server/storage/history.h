#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "server/storage/wal.h"

// Log segments that nothing needs for recovery any more, sealed: records by shard and LSN in compressed blocks, and at
// the end an index that tells which blocks hold what of which shard. Pure.
namespace terrazzo::storage {

// Chunks that a record changed, in the world's chunk coordinates; half open.
struct ChunkArea {
  std::int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool empty() const { return x0 >= x1 || y0 >= y1; }
  bool meets(const ChunkArea& other) const { return x0 < other.x1 && other.x0 < x1 && y0 < other.y1 && other.y0 < y1; }
  void cover(const ChunkArea& other);
};

struct SealedSegment {
  std::vector<std::byte> file;  // empty: the segment holds no record
  WalScan scan;
};
// The file of one sealed segment: every record that checks, those behind damage included. `area_of`: what a record of
// kind edit changed; storage knows nothing of edits. internal, unsupported: as scan_segment().
Result<SealedSegment> seal_segment(std::span<const std::byte> segment, const SegmentName& name,
                                   const std::function<ChunkArea(const Record&)>& area_of);

struct HistoryQuery {
  std::optional<ShardIdentity> shard;
  Lsn first{0}, last{~std::uint64_t{0}};  // inclusive
  std::optional<ChunkArea> area;          // blocks that touch it; records beside it may come, too
};

struct HistoryInfo {
  std::uint32_t core = 0, number = 0;
  std::uint64_t incarnation = 0, records = 0, blocks = 0;
};

// Reads a sealed segment; `file` must outlive it.
class HistoryReader {
 public:
  // Checks header, footer and index. internal, unsupported.
  static Result<HistoryReader> open(std::span<const std::byte> file);
  const HistoryInfo& info() const { return info_; }
  // What there is of which shard: LSNs and changed chunks, a part for each block that has some.
  using PartVisit = std::function<void(const ShardIdentity& shard, Lsn first, Lsn last, const ChunkArea& area)>;
  void for_each_part(const PartVisit& visit) const;
  // Visits records by block; within a block by shard and LSN. Blocks without an answer are not read. internal: a block
  // is damaged. Returns the number of blocks unpacked.
  Result<std::uint64_t> visit(const HistoryQuery& query, const std::function<void(const Record&)>& visit) const;

 private:
  // A block's part of one shard.
  struct Run {
    std::uint64_t world = 0;
    std::int32_t x = 0, y = 0;
    std::uint64_t first = 0, last = 0;  // LSNs
    std::int64_t area[4] = {};
    std::uint32_t block = 0, records = 0;
  };
  struct Block {
    std::uint64_t offset = 0;
    std::uint32_t packed = 0, unpacked = 0, crc = 0, reserved = 0;  // crc32c of the packed bytes
  };
  friend class HistoryWriter;
  Result<std::vector<std::byte>> unpack(const Block& block) const;

  std::span<const std::byte> file_;
  HistoryInfo info_;
  std::vector<Block> blocks_;
  std::vector<Run> runs_;
};

}  // namespace terrazzo::storage

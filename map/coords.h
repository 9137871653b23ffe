#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>

namespace terrazzo::map {

inline constexpr int kChunkShift = 5;                         // a chunk is 32×32 cells: 4096 bytes, one page
inline constexpr std::int32_t kChunkSize = 1 << kChunkShift;  // cells
inline constexpr int kChunkCells = kChunkSize * kChunkSize;
inline constexpr int kShardShift = 8;  // a shard is 256×256 chunks, 8192×8192 cells
inline constexpr std::int32_t kShardChunks = 1 << kShardShift;

// The whole signed 32-bit range of cells is usable. Positions divide by flooring, so -1 lies in chunk -1.
struct CellPos {
  std::int32_t x = 0, y = 0;
  constexpr auto operator<=>(const CellPos&) const = default;
};
struct ChunkPos {
  std::int32_t x = 0, y = 0;
  constexpr auto operator<=>(const ChunkPos&) const = default;
};
struct ShardPos {
  std::int32_t x = 0, y = 0;
  constexpr auto operator<=>(const ShardPos&) const = default;
};

constexpr ChunkPos chunk_of(CellPos p) {
  return {p.x >> kChunkShift, p.y >> kChunkShift};
}
constexpr ShardPos shard_of(ChunkPos p) {
  return {p.x >> kShardShift, p.y >> kShardShift};
}
constexpr ShardPos shard_of(CellPos p) {
  return shard_of(chunk_of(p));
}
constexpr CellPos origin_of(ChunkPos p) {
  return {p.x * kChunkSize, p.y * kChunkSize};
}
constexpr ChunkPos origin_of(ShardPos p) {
  return {p.x * kShardChunks, p.y * kShardChunks};
}
// Row-major index of a cell inside its chunk, 0..1023.
constexpr int index_in_chunk(CellPos p) {
  return (p.y & (kChunkSize - 1)) * kChunkSize + (p.x & (kChunkSize - 1));
}

// Row-major index of a chunk inside its shard: y * 256 + x.
using ChunkIndex = std::uint16_t;
constexpr ChunkIndex index_in_shard(ChunkPos p) {
  return static_cast<ChunkIndex>(((p.y & (kShardChunks - 1)) << kShardShift) | (p.x & (kShardChunks - 1)));
}
constexpr ChunkPos chunk_at(ShardPos shard, ChunkIndex index) {
  return {shard.x * kShardChunks + (index & (kShardChunks - 1)), shard.y * kShardChunks + (index >> kShardShift)};
}

// Half-open rectangle in cells (or, where said, in chunks) with 64-bit corners, so that no sum overflows.
struct Rect {
  std::int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  static constexpr Rect of_size(std::int64_t x, std::int64_t y, std::int64_t w, std::int64_t h) {
    return {x, y, x + w, y + h};
  }
  constexpr std::int64_t width() const { return x1 - x0; }
  constexpr std::int64_t height() const { return y1 - y0; }
  constexpr bool empty() const { return x1 <= x0 || y1 <= y0; }
  // Saturates at the largest 64-bit number; the full plane has 2^64 cells.
  constexpr std::uint64_t area() const {
    if (empty()) return 0;
    const auto w = static_cast<std::uint64_t>(width()), h = static_cast<std::uint64_t>(height());
    return w > std::numeric_limits<std::uint64_t>::max() / h ? std::numeric_limits<std::uint64_t>::max() : w * h;
  }
  constexpr bool contains(CellPos p) const { return p.x >= x0 && p.x < x1 && p.y >= y0 && p.y < y1; }
  constexpr bool contains(const Rect& r) const { return r.x0 >= x0 && r.x1 <= x1 && r.y0 >= y0 && r.y1 <= y1; }
  constexpr Rect intersect(const Rect& r) const {
    return {std::max(x0, r.x0), std::max(y0, r.y0), std::min(x1, r.x1), std::min(y1, r.y1)};
  }
  constexpr bool intersects(const Rect& r) const { return !intersect(r).empty(); }
  constexpr bool operator==(const Rect&) const = default;
};

// Every cell a 32-bit position can name.
inline constexpr Rect kPlane{-(std::int64_t{1} << 31), -(std::int64_t{1} << 31), std::int64_t{1} << 31,
                             std::int64_t{1} << 31};
// The chunks (shards) that a rectangle of cells touches, as a rectangle of chunks (shards).
constexpr Rect chunks_of(const Rect& cells) {
  if (cells.empty()) return {};
  return {cells.x0 >> kChunkShift, cells.y0 >> kChunkShift, ((cells.x1 - 1) >> kChunkShift) + 1,
          ((cells.y1 - 1) >> kChunkShift) + 1};
}
constexpr Rect shards_of(const Rect& cells) {
  const Rect c = chunks_of(cells);
  if (c.empty()) return {};
  return {c.x0 >> kShardShift, c.y0 >> kShardShift, ((c.x1 - 1) >> kShardShift) + 1, ((c.y1 - 1) >> kShardShift) + 1};
}
constexpr Rect cells_of(ChunkPos p) {
  return Rect::of_size(std::int64_t{p.x} * kChunkSize, std::int64_t{p.y} * kChunkSize, kChunkSize, kChunkSize);
}
constexpr Rect cells_of(ShardPos p) {
  constexpr std::int64_t size = std::int64_t{kShardChunks} * kChunkSize;
  return Rect::of_size(p.x * size, p.y * size, size, size);
}

constexpr std::uint64_t position_key(std::int32_t x, std::int32_t y) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(y)) << 32) | static_cast<std::uint32_t>(x);
}

}  // namespace terrazzo::map

template <>
struct std::hash<terrazzo::map::ChunkPos> {
  std::size_t operator()(terrazzo::map::ChunkPos p) const noexcept {
    return terrazzo::map::position_key(p.x, p.y) * 0x9E3779B97F4A7C15ull;
  }
};
template <>
struct std::hash<terrazzo::map::ShardPos> {
  std::size_t operator()(terrazzo::map::ShardPos p) const noexcept {
    return terrazzo::map::position_key(p.x, p.y) * 0x9E3779B97F4A7C15ull;
  }
};

#include "map/coords.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace terrazzo::map {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

TEST(Coords, NegativeCellsLieInNegativeChunks) {
  EXPECT_EQ(chunk_of(CellPos{-1, -32}), (ChunkPos{-1, -1}));
  EXPECT_EQ(chunk_of(CellPos{-33, 31}), (ChunkPos{-2, 0}));
  EXPECT_EQ(shard_of(CellPos{-1, 8192}), (ShardPos{-1, 1}));
  EXPECT_EQ(index_in_chunk(CellPos{-1, -1}), 1023);
  EXPECT_EQ(index_in_chunk(CellPos{-32, 0}), 0);
}

TEST(Coords, TheCornersOfThePlaneHaveAPlace) {
  EXPECT_EQ(origin_of(chunk_of(CellPos{kLeast, kLeast})), (CellPos{kLeast, kLeast}));
  EXPECT_TRUE(cells_of(chunk_of(CellPos{kMost, kMost})).contains(CellPos{kMost, kMost}));
  EXPECT_TRUE(kPlane.contains(cells_of(shard_of(CellPos{kLeast, kMost}))));
  EXPECT_EQ(kPlane.area(), std::numeric_limits<std::uint64_t>::max());  // saturated
}

TEST(Coords, AChunkIsFoundAgainInItsShard) {
  for (const ChunkPos chunk : {ChunkPos{0, 0}, {-1, -1}, {255, 256}, {-257, 511}, {1000, -1000}})
    EXPECT_EQ(chunk_at(shard_of(chunk), index_in_shard(chunk)), chunk) << chunk.x << "," << chunk.y;
}

TEST(Coords, ARectangleTouchesTheChunksOfItsCorners) {
  EXPECT_EQ(chunks_of(Rect::of_size(-1, -1, 2, 2)), (Rect{-1, -1, 1, 1}));
  EXPECT_EQ(chunks_of(Rect::of_size(0, 0, 32, 33)), (Rect{0, 0, 1, 2}));
  EXPECT_EQ(shards_of(Rect::of_size(-1, 0, 8193, 1)), (Rect{-1, 0, 1, 1}));
  EXPECT_TRUE(chunks_of(Rect{}).empty());
}

}  // namespace
}  // namespace terrazzo::map

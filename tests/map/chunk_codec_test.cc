#include "map/chunk_codec.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace terrazzo::map {
namespace {

using Cells = std::array<Cell, kChunkCells>;

Cells random_cells(std::mt19937& random, std::uint32_t different) {
  std::vector<Cell> values(different);
  for (Cell& v : values) v.bits = static_cast<std::uint32_t>(random());
  Cells cells;
  for (Cell& c : cells) c = values[random() % different];
  return cells;
}

class ChunkCodecPalettes : public testing::TestWithParam<std::uint32_t> {};

TEST_P(ChunkCodecPalettes, GiveBackTheCells) {
  std::mt19937 random(GetParam());
  const Cells cells = random_cells(random, GetParam());
  std::vector<std::byte> coded{std::byte{7}};  // appended behind what is there
  encode_chunk(cells, coded);
  Cells decoded;
  const Status status = decode_chunk(std::span(coded).subspan(1), decoded);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(decoded, cells);
}
INSTANTIATE_TEST_SUITE_P(Sizes, ChunkCodecPalettes, testing::Values(1, 2, 3, 4, 5, 16, 17, 200, 256, 257, 1024));

TEST(ChunkCodec, OneValueTakesEightBytes) {
  Cells cells;
  cells.fill(Cell{42});
  std::vector<std::byte> coded;
  encode_chunk(cells, coded);
  EXPECT_EQ(coded.size(), 8u);
}

TEST(ChunkCodec, RefusesEveryTruncationAndSurvivesEveryBitFlip) {
  std::mt19937 random(1);
  for (const std::uint32_t different : {1u, 3u, 9u, 100u, 1024u}) {
    std::vector<std::byte> coded;
    encode_chunk(random_cells(random, different), coded);
    Cells cells;
    for (std::size_t size = 0; size < coded.size(); ++size)
      EXPECT_FALSE(decode_chunk(std::span(coded).first(size), cells).ok()) << size;
    for (std::size_t bit = 0; bit < coded.size() * 8; ++bit) {
      coded[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      (void)decode_chunk(coded, cells);  // an error or other cells, but nothing read out of bounds
      coded[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    }
  }
}

TEST(ChunkCodec, RefusesAnIndexBeyondThePalette) {
  // 2 bits, a palette of 3; the index 3 names nothing.
  std::vector<std::byte> coded(4 + 12 + 256, std::byte{0});
  coded[0] = std::byte{2};
  coded[2] = std::byte{3};
  Cells cells;
  EXPECT_TRUE(decode_chunk(coded, cells).ok());
  coded.back() = std::byte{0xFF};
  EXPECT_FALSE(decode_chunk(coded, cells).ok());
}

}  // namespace
}  // namespace terrazzo::map

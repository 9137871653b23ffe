// Copies and floods against the plainest model there is: a map of cells, and a queue of neighbours.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "map/copied_cells.h"
#include "map/edit_apply.h"
#include "map/edit_check.h"
#include "map/flood.h"
#include "map/read_after.h"

namespace terrazzo::map {
namespace {

TEST(Turn, IsWhatTiledDoesWithACellsFlips) {
  // libtiled, TileLayer::rotate: bits horizontal, vertical, diagonal from the high one down.
  constexpr unsigned kRight[8] = {5, 4, 1, 0, 7, 6, 3, 2}, kLeft[8] = {3, 2, 7, 6, 1, 0, 5, 4};
  const auto cell = [](unsigned mask) { return Cell{7u | mask << 29}; };
  for (unsigned mask = 0; mask < 8; ++mask) {
    EXPECT_EQ(Turn::of(Flip::none, 1).turned(cell(mask)), cell(kRight[mask]));
    EXPECT_EQ(Turn::of(Flip::none, 3).turned(cell(mask)), cell(kLeft[mask]));
    EXPECT_EQ(Turn::of(Flip::horizontal, 0).turned(cell(mask)), cell(mask ^ 4u));
    EXPECT_EQ(Turn::of(Flip::vertical, 0).turned(cell(mask)), cell(mask ^ 2u));
    EXPECT_EQ(Turn::of(Flip::both, 0).turned(cell(mask)), cell(mask ^ 6u));
  }
  EXPECT_TRUE(Turn::of(Flip::none, 1).turned(Cell{}).empty());
  EXPECT_EQ(Turn::of(Flip::none, 2).turned(Cell{3 | Cell::kRotateHex120}).bits & Cell::kRotateHex120,
            Cell::kRotateHex120);
}

TEST(Turn, IsTheSameAsItsFlipAndQuarters) {
  std::set<std::tuple<bool, bool, bool>> all;
  for (unsigned flip = 0; flip < 4; ++flip)
    for (unsigned quarters = 0; quarters < 8; ++quarters) {
      const Turn turn = Turn::of(static_cast<Flip>(flip), quarters);
      EXPECT_EQ(Turn::of(turn.flip(), turn.quarters()), turn);
      all.insert({turn.horizontal, turn.vertical, turn.diagonal});
    }
  EXPECT_EQ(all.size(), 8u);
}

TEST(Turn, AQuarterClockwiseBringsTheUpperLeftToTheUpperRight) {
  const Turn turn = Turn::of(Flip::none, 1);
  EXPECT_EQ(turn.size_of(5, 3), (std::pair<std::int64_t, std::int64_t>(3, 5)));
  EXPECT_EQ(turn.source_of(2, 0, 3, 5), (std::pair<std::int64_t, std::int64_t>(0, 0)));
  EXPECT_EQ(turn.source_of(2, 4, 3, 5), (std::pair<std::int64_t, std::int64_t>(4, 0)));
  EXPECT_EQ(turn.source_of(0, 0, 3, 5), (std::pair<std::int64_t, std::int64_t>(0, 2)));
}

// A field of random islands, in chunks and cell by cell.
class DerivedOps : public testing::TestWithParam<unsigned> {
 protected:
  static constexpr Rect kField{-70, -70, 70, 70};
  using Key = std::tuple<LayerId, std::int64_t, std::int64_t>;

  DerivedOps() {
    for (int i = 0; i < 60; ++i) {
      const Rect rect = Rect::of_size(pick(-80, 60), pick(-80, 60), pick(1, 70), pick(1, 6));
      const bool upright = pick(0, 1) == 1;
      apply({OpKind::fill, layer(), upright ? Rect{rect.y0, rect.x0, rect.y1, rect.x1} : rect, tile(), {}, {}});
    }
  }
  std::int64_t pick(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
  }
  LayerId layer() { return static_cast<LayerId>(pick(0, 1)); }
  Cell tile() { return Cell{static_cast<std::uint32_t>(pick(0, 2)) | (pick(0, 3) == 0 ? Cell::kFlipVertical : 0)}; }
  CellPos place(const Rect& in) {
    return {static_cast<std::int32_t>(pick(in.x0, in.x1 - 1)), static_cast<std::int32_t>(pick(in.y0, in.y1 - 1))};
  }
  Rect part_of_field() {
    const CellPos corner = place(kField);
    return Rect::of_size(corner.x, corner.y, pick(1, 60), pick(1, 60));
  }
  void apply(const Op& op) {
    for_each_chunk_part(op.rect, [&](ChunkPos chunk, const Rect&) { apply_op(op, chunk, chunks_[{op.layer, chunk}]); });
    for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y)
      for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x)
        plain_[{op.layer, x, y}] =
            op.kind == OpKind::fill
                ? op.cell
                : op.cells[static_cast<std::size_t>((y - op.rect.y0) * op.rect.width() + (x - op.rect.x0))];
  }
  Cell at(LayerId layer, std::int64_t x, std::int64_t y) const {
    const auto found = plain_.find({layer, x, y});
    return found == plain_.end() ? Cell{} : found->second;
  }
  ReadChunk read() {
    return [this](LayerId layer, ChunkPos chunk) {
      const auto found = chunks_.find({layer, chunk});
      if (found == chunks_.end()) return ChunkCells{};
      const auto& cells = found->second;
      const bool uniform = std::ranges::all_of(cells, [&](Cell cell) { return cell == cells[0]; });
      return uniform ? ChunkCells{nullptr, cells[0]} : ChunkCells{cells.data(), {}};
    };
  }
  // The cells that a flood reaches, one by one.
  std::set<std::pair<std::int64_t, std::int64_t>> reached(const Op& flood) const {
    const Cell from = at(flood.layer, flood.source.x, flood.source.y);
    std::set<std::pair<std::int64_t, std::int64_t>> seen;
    if (from == flood.cell) return seen;
    std::deque<std::pair<std::int64_t, std::int64_t>> waiting{{flood.source.x, flood.source.y}};
    while (!waiting.empty()) {
      const auto [x, y] = waiting.front();
      waiting.pop_front();
      const bool inside = x >= flood.rect.x0 && x < flood.rect.x1 && y >= flood.rect.y0 && y < flood.rect.y1;
      if (!inside || at(flood.layer, x, y) != from || !seen.insert({x, y}).second) continue;
      for (const auto& next : {std::pair(x - 1, y), std::pair(x + 1, y), std::pair(x, y - 1), std::pair(x, y + 1)})
        waiting.push_back(next);
    }
    return seen;
  }

  std::mt19937 random_{GetParam()};
  std::map<std::pair<LayerId, ChunkPos>, std::array<Cell, kChunkCells>> chunks_;
  std::map<Key, Cell> plain_;
};

TEST_P(DerivedOps, AFloodIsWhatAQueueOfNeighboursReaches) {
  for (int i = 0; i < 40; ++i) {
    const Rect bounds = part_of_field();
    const Op op = flood_op(layer(), place(bounds), tile(), bounds);
    std::set<std::pair<std::int64_t, std::int64_t>> got;
    for (const FloodedChunk& part : flooded(op, read())) {
      std::size_t cells = 0;
      for (const Rect& rect : rects_of(part)) {
        ASSERT_TRUE(cells_of(part.chunk).contains(rect));
        for (std::int64_t y = rect.y0; y < rect.y1; ++y)
          for (std::int64_t x = rect.x0; x < rect.x1; ++x, ++cells) {
            ASSERT_EQ(at(op.layer, x, y), part.from);
            ASSERT_TRUE(got.insert({x, y}).second) << "twice";
          }
      }
      ASSERT_NE(cells, 0u);
    }
    ASSERT_EQ(got, reached(op)) << "flood " << i;
    for (const auto& [x, y] : got) apply({OpKind::fill, op.layer, Rect::of_size(x, y, 1, 1), op.cell, {}, {}});
  }
}

TEST_P(DerivedOps, ACopyTakesEachCellFromWhereItIsSaid) {
  std::vector<Cell> scratch, cells;
  for (int i = 0; i < 40; ++i) {
    const Turn turn = Turn::of(static_cast<Flip>(pick(0, 3)), static_cast<unsigned>(pick(0, 3)));
    const Op op = copy_op(layer(), part_of_field(), layer(), place(kField), turn);
    const Rect source = source_of(op);
    const CellPos corner = place(op.rect);
    const Rect part = op.rect.intersect(Rect::of_size(corner.x, corner.y, pick(1, 40), pick(1, 40)));
    cells.assign(part.area(), {});
    ASSERT_TRUE(copied_cells(op, part, read(), scratch, cells));
    std::size_t at_part = 0;
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x) {
        const auto [sx, sy] = turn.source_of(x - op.rect.x0, y - op.rect.y0, op.rect.width(), op.rect.height());
        ASSERT_GE(sx, 0);
        ASSERT_LT(sx, source.width());
        ASSERT_EQ(cells[at_part++], turn.turned(at(op.source_layer, source.x0 + sx, source.y0 + sy)));
      }
    apply({OpKind::set, op.layer, part, {}, {}, cells});  // may overlap the source
  }
}

TEST_P(DerivedOps, WhatAnOpReadsIsAfterThoseBeforeIt) {
  const ReadChunk before = read();
  std::vector<Op> ops;
  ReadAfter after(before, ops);
  std::vector<Op> all;
  for (int i = 0; i < 8; ++i) {
    const Op op{OpKind::fill, layer(), part_of_field(), tile(), {}, {}};
    ops.push_back(op);
    after.note(op.rect, ops.size() - 1);
  }
  for (int i = 0; i < 40; ++i) {
    const LayerId of = layer();
    const ChunkPos chunk = chunk_of(place(kField));
    std::array<Cell, kChunkCells> expected{};
    if (const auto found = chunks_.find({of, chunk}); found != chunks_.end()) expected = found->second;
    for (const Op& op : ops)
      if (op.layer == of) apply_op(op, chunk, expected);
    const ChunkCells got = after.read(of, chunk);
    for (std::size_t j = 0; j < expected.size(); ++j)
      ASSERT_EQ(got.cells == nullptr ? got.fill : got.cells[j], expected[j]);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DerivedOps, testing::Range(1u, 13u));

TEST(Flood, OfUnknownLandGoesNoFurther) {
  const ReadChunk read = [](LayerId, ChunkPos chunk) { return ChunkCells{nullptr, {}, chunk.x < 2}; };
  const std::vector<FloodedChunk> parts = flooded(flood_op(0, {5, 5}, Cell{1}, Rect{0, 0, 256, 32}), read);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_TRUE(flooded(flood_op(0, {70, 5}, Cell{1}, Rect{0, 0, 256, 32}), read).empty());
}

TEST(Flood, OfUniformLandTakesWholeChunks) {
  int reads = 0;
  const ReadChunk read = [&](LayerId, ChunkPos) {
    ++reads;
    return ChunkCells{};
  };
  const std::vector<FloodedChunk> parts = flooded(flood_op(0, {5, 5}, Cell{1}, Rect{0, 0, 512, 512}), read);
  EXPECT_EQ(parts.size(), 256u);
  EXPECT_LE(reads, 257);
}

TEST(EditCheckOfDerivedOps, NamesWhatIsWrong) {
  World world;
  world.bounds = Rect{-1000, -1000, 1000, 1000};
  world.layers.resize(2);
  world.layers[1].id = 3;
  world.layers[1].kind = LayerKind::object;
  world.tilesets.resize(1);
  world.tilesets[0].tile_count = 10;
  const auto check = [&](const Op& op) {
    const Status status = check_edit(world, {EditId{1}, AckMode::durable, {&op, 1}, {}}, EditLimits{});
    return status ? std::string() : std::string(error_code_name(status.error().code)) + " " + status.error().message;
  };
  const Rect ten = Rect::of_size(0, 0, 10, 10);
  EXPECT_EQ(check(copy_op(0, ten, 0, {5, 5}, Turn::of(Flip::none, 1))), "");
  EXPECT_NE(check(copy_op(3, ten, 0, {5, 5}, {})).find("bad_message op 0: layer 3"), std::string::npos);
  EXPECT_NE(check(copy_op(0, ten, 7, {5, 5}, {})).find("not_found op 0: there is no layer 7"), std::string::npos);
  EXPECT_NE(check(copy_op(0, ten, 0, {995, 5}, {})).find("out_of_bounds"), std::string::npos);
  EXPECT_NE(check(copy_op(0, Rect::of_size(995, 0, 10, 10), 0, {0, 0}, {})).find("out_of_bounds"), std::string::npos);
  EXPECT_NE(check(copy_op(0, Rect::of_size(0, 0, 600, 600), 0, {0, 0}, {})).find("more than 262144 cells"),
            std::string::npos);
  EXPECT_EQ(check(flood_op(0, {5, 5}, Cell{3}, ten)), "");
  EXPECT_NE(check(flood_op(0, {10, 5}, Cell{3}, ten)).find("outside of its bounds [0,0,10,10]"), std::string::npos);
  EXPECT_NE(check(flood_op(0, {5, 5}, Cell{11}, ten)).find("there is no tile 11"), std::string::npos);
  EXPECT_NE(check(flood_op(0, {5, 5}, Cell{3}, *world.bounds)).find("too_large"), std::string::npos);
  world.orientation = Orientation::hexagonal;
  EXPECT_EQ(check(copy_op(0, ten, 0, {5, 5}, {})), "");
  EXPECT_NE(check(copy_op(0, ten, 0, {5, 5}, Turn::of(Flip::horizontal, 0))).find("unsupported"), std::string::npos);
}

}  // namespace
}  // namespace terrazzo::map

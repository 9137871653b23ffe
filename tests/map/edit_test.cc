#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

#include "map/edit_apply.h"
#include "map/edit_check.h"
#include "map/edit_invert.h"

namespace terrazzo::map {
namespace {

World small_world() {
  World world;
  world.name = "w";
  world.bounds = Rect{-100, -100, 100, 100};
  world.layers.push_back({});
  world.layers.back().name = "ground";
  world.layers.push_back({});
  world.layers.back().id = 3;
  world.layers.back().kind = LayerKind::object;
  world.tilesets.push_back({});
  world.tilesets.back().tile_count = 10;
  return world;
}

struct CellKey {
  LayerId layer;
  std::int32_t x, y;
  auto operator<=>(const CellKey&) const = default;
};
// The plainest possible world: one entry per cell that is not empty.
using Model = std::map<CellKey, std::uint32_t>;

std::uint32_t get(const Model& model, const CellKey& key) {
  const auto it = model.find(key);
  return it == model.end() ? 0 : it->second;
}

void apply_plainly(Model& model, const Op& op) {
  std::size_t i = 0;
  for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y)
    for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x, ++i) {
      std::uint32_t& cell = model[{op.layer, static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}];
      if (op.kind == OpKind::set) cell = op.cells[i].bits;
      if (op.kind == OpKind::fill || (op.kind == OpKind::replace && cell == op.from.bits)) cell = op.cell.bits;
    }
}

using Chunks = std::map<std::tuple<LayerId, ChunkPos>, std::array<Cell, kChunkCells>>;

void apply_by_chunks(Chunks& chunks, const Op& op) {
  for_each_chunk_part(op.rect, [&](ChunkPos chunk, const Rect&) { apply_op(op, chunk, chunks[{op.layer, chunk}]); });
}

void expect_same(const Model& model, const Chunks& chunks) {
  for (const auto& [key, cells] : chunks) {
    const auto [layer, chunk] = key;
    for (int i = 0; i < kChunkCells; ++i) {
      const CellPos origin = origin_of(chunk);
      ASSERT_EQ(cells[static_cast<std::size_t>(i)].bits,
                get(model, {layer, origin.x + i % kChunkSize, origin.y + i / kChunkSize}));
    }
  }
}

struct RandomOps {
  std::mt19937 random;
  std::vector<std::vector<Cell>> kept;

  std::int64_t pick(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random);
  }
  Op next() {
    Op op;
    op.kind = static_cast<OpKind>(pick(0, 2));
    op.layer = static_cast<LayerId>(pick(0, 1));
    op.rect = Rect::of_size(pick(-90, 50), pick(-90, 50), pick(1, 70), pick(1, 70));
    op.cell.bits = static_cast<std::uint32_t>(pick(0, 3));
    op.from.bits = static_cast<std::uint32_t>(pick(0, 3));
    if (op.kind == OpKind::set) {
      auto& cells = kept.emplace_back(op.rect.area());
      for (Cell& c : cells) c.bits = static_cast<std::uint32_t>(pick(0, 3));
      op.cells = cells;
    }
    return op;
  }
};

TEST(EditApply, ByChunksDoesWhatCellByCellDoes) {
  RandomOps ops{std::mt19937(11), {}};
  Model model;
  Chunks chunks;
  for (int i = 0; i < 60; ++i) {
    const Op op = ops.next();
    apply_plainly(model, op);
    apply_by_chunks(chunks, op);
  }
  expect_same(model, chunks);
}

TEST(EditApply, PartsOfAClippedOpMakeTheWhole) {
  RandomOps ops{std::mt19937(12), {}};
  Model model;
  Chunks chunks;
  for (int i = 0; i < 60; ++i) {
    const Op op = ops.next();
    apply_plainly(model, op);
    Arena arena;
    const std::int64_t x = ops.pick(op.rect.x0, op.rect.x1), y = ops.pick(op.rect.y0, op.rect.y1);
    const Rect r = op.rect;
    for (const Rect& area :
         {Rect{r.x0, r.y0, x, y}, Rect{x, r.y0, r.x1, y}, Rect{r.x0, y, x, r.y1}, Rect{x, y, r.x1, r.y1}})
      if (!area.empty()) apply_by_chunks(chunks, clip(op, area, arena));
  }
  expect_same(model, chunks);
}

TEST(EditInvert, GivesBackWhatWasThere) {
  RandomOps ops{std::mt19937(13), {}};
  Model model;
  Chunks chunks;
  for (int i = 0; i < 10; ++i) {
    const Op op = ops.next();
    apply_plainly(model, op);
    apply_by_chunks(chunks, op);
  }
  for (int i = 0; i < 40; ++i) {
    const std::vector<Op> edit{ops.next(), ops.next(), ops.next()};
    Arena arena;
    const auto read = [&](LayerId layer, ChunkPos chunk) {
      const auto it = chunks.find({layer, chunk});
      return it == chunks.end() ? ChunkCells{} : ChunkCells{it->second.data(), {}};
    };
    const std::vector<Op> inverse = invert_ops(edit, read, arena);
    for (const Op& op : edit) apply_by_chunks(chunks, op);
    for (const Op& op : inverse) apply_by_chunks(chunks, op);
    expect_same(model, chunks);
  }
}

TEST(EditInvert, OfAHugeFillOverEmptyLandIsOneFill) {
  const Op op{OpKind::fill, 0, Rect::of_size(-1000, 5, 4000, 3000), Cell{1}, {}, {}};
  Arena arena;
  const auto inverse = invert_ops(
      {&op, 1}, [](LayerId, ChunkPos) { return ChunkCells{}; }, arena);
  ASSERT_EQ(inverse.size(), 1u);
  EXPECT_EQ(inverse[0].rect, op.rect);
  EXPECT_EQ(inverse[0].kind, OpKind::fill);
  EXPECT_TRUE(inverse[0].cell.empty());
}

TEST(Condition, HoldsOnlyWhereEveryCellIsAsSaid) {
  std::array<Cell, kChunkCells> cells{};
  cells[33] = Cell{5};
  const std::array<Cell, 2> expected{Cell{0}, Cell{5}};
  Condition condition{0, Rect::of_size(0, 1, 2, 1), {}, expected};
  EXPECT_TRUE(condition_holds(condition, {0, 0}, cells));
  condition.cells = {};
  EXPECT_FALSE(condition_holds(condition, {0, 0}, cells));
  condition.rect = Rect::of_size(1, 1, 1, 1);
  condition.cell = Cell{5};
  EXPECT_TRUE(condition_holds(condition, {0, 0}, cells));
}

struct CheckCase {
  const char* name;
  Op op;
  ErrorCode code;
};

TEST(EditCheck, NamesWhatIsWrong) {
  const World world = small_world();
  const std::array<Cell, 2> two{Cell{1}, Cell{10}};
  const std::array<Cell, 1> eleven{Cell{11}};
  const CheckCase cases[] = {
      {"no such layer", {OpKind::fill, 1, Rect::of_size(0, 0, 1, 1), {}, {}, {}}, ErrorCode::not_found},
      {"an object layer", {OpKind::fill, 3, Rect::of_size(0, 0, 1, 1), {}, {}, {}}, ErrorCode::bad_message},
      {"empty", {OpKind::fill, 0, Rect::of_size(0, 0, 0, 1), {}, {}, {}}, ErrorCode::bad_message},
      {"outside", {OpKind::fill, 0, Rect::of_size(99, 0, 2, 1), {}, {}, {}}, ErrorCode::out_of_bounds},
      {"too few cells", {OpKind::set, 0, Rect::of_size(0, 0, 3, 1), {}, {}, two}, ErrorCode::bad_message},
      {"unknown tile", {OpKind::set, 0, Rect::of_size(0, 0, 1, 1), {}, {}, eleven}, ErrorCode::out_of_bounds},
      {"unknown fill", {OpKind::fill, 0, Rect::of_size(0, 0, 1, 1), Cell{11}, {}, {}}, ErrorCode::out_of_bounds},
      {"unknown from",
       {OpKind::replace, 0, Rect::of_size(0, 0, 1, 1), Cell{1}, Cell{11}, {}},
       ErrorCode::out_of_bounds},
  };
  for (const CheckCase& c : cases) {
    const Op ops[] = {{OpKind::fill, 0, Rect::of_size(-100, -100, 200, 200), Cell{10 | Cell::kFlipDiagonal}, {}, {}},
                      c.op};
    const Status status = check_edit(world, {EditId{1}, AckMode::durable, ops, {}}, EditLimits{});
    ASSERT_FALSE(status.ok()) << c.name;
    EXPECT_EQ(status.error().code, c.code) << c.name;
    EXPECT_NE(status.error().message.find("op 1"), std::string::npos) << status.error().message;
  }
  const Op good{OpKind::set, 0, Rect::of_size(98, 0, 2, 1), {}, {}, two};
  EXPECT_TRUE(check_edit(world, {EditId{1}, AckMode::durable, {&good, 1}, {}}, EditLimits{}).ok());
  EXPECT_FALSE(check_edit(world, {EditId{1}, AckMode::durable, {}, {}}, EditLimits{}).ok());
  EXPECT_EQ(check_edit(world, {EditId{1}, AckMode::durable, {&good, 1}, {}}, EditLimits{256, 256, 1}).error().code,
            ErrorCode::too_large);
}

}  // namespace
}  // namespace terrazzo::map

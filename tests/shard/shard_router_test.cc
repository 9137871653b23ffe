#include "server/shard/shard_router.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "server/shard/owner_table.h"

namespace terrazzo::shard {
namespace {

map::Edit edit_of(std::span<const map::Op> ops, std::span<const map::Condition> conditions = {}) {
  return {EditId{1}, map::AckMode::durable, ops, conditions};
}

TEST(ShardRouter, AnEditInOneShardIsOneRequestWithItsConditions) {
  const map::Op op{map::OpKind::fill, 0, map::Rect::of_size(-8192, -8192, 8192, 8192), map::Cell{1}, {}, {}};
  const map::Condition condition{0, map::Rect::of_size(-1, -1, 1, 1), map::Cell{0}, {}};
  const auto parts = split_edit(WorldId{1}, {}, edit_of({&op, 1}, {&condition, 1}));
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 1u);
  EXPECT_EQ((*parts)[0]->shard.position, (map::ShardPos{-1, -1}));
  EXPECT_EQ((*parts)[0]->edit.conditions.size(), 1u);
}

TEST(ShardRouter, PartsKeepTheirCellsAfterTheOriginalsAreGone) {
  auto cells = std::make_unique<std::array<map::Cell, 4>>();
  *cells = {map::Cell{1}, map::Cell{2}, map::Cell{3}, map::Cell{4}};
  auto op = std::make_unique<map::Op>(map::Op{map::OpKind::set, 0, map::Rect::of_size(-1, 0, 2, 2), {}, {}, *cells});
  const auto parts = split_edit(WorldId{1}, {}, edit_of({op.get(), 1}));
  cells.reset();
  op.reset();
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0]->shard.position, (map::ShardPos{-1, 0}));
  EXPECT_EQ((*parts)[0]->edit.ops[0].cells[1], map::Cell{3});
  EXPECT_EQ((*parts)[1]->edit.ops[0].cells[0], map::Cell{2});
  EXPECT_EQ((*parts)[1]->edit.ops[0].rect, map::Rect::of_size(0, 0, 1, 2));
}

TEST(ShardRouter, OpsFarApartTouchOnlyTheirOwnShards) {
  const map::Op ops[] = {
      {map::OpKind::fill, 0, map::Rect::of_size(0, 0, 1, 1), map::Cell{1}, {}, {}},
      {map::OpKind::fill, 0, map::Rect::of_size(2'000'000'000, 2'000'000'000, 1, 1), map::Cell{1}, {}, {}}};
  const auto parts = split_edit(WorldId{1}, {}, edit_of(ops));
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  EXPECT_EQ(parts->size(), 2u);
}

TEST(ShardRouter, TooManyShardsAndConditionsOverShardsAreRefused) {
  const map::Op whole{map::OpKind::fill, 0, map::kPlane, map::Cell{1}, {}, {}};
  EXPECT_EQ(split_edit(WorldId{1}, {}, edit_of({&whole, 1})).error().code, ErrorCode::too_large);
  const map::Op two{map::OpKind::fill, 0, map::Rect::of_size(-1, 0, 2, 1), map::Cell{1}, {}, {}};
  const map::Condition condition{0, map::Rect::of_size(-1, 0, 1, 1), map::Cell{0}, {}};
  EXPECT_EQ(split_edit(WorldId{1}, {}, edit_of({&two, 1}, {&condition, 1})).error().code, ErrorCode::unsupported);
}

TEST(ShardRouter, NeighbouringShardsSpreadOverTheCores) {
  std::set<CoreId> owners;
  for (int x = 0; x < 8; ++x)
    for (int y = 0; y < 8; ++y) owners.insert(owner_core({WorldId{42}, {x, y}}, 8));
  EXPECT_EQ(owners.size(), 8u);
}

TEST(OwnerTable, KnowsWhatMovedAndForgetsWhatCameBack) {
  OwnerTable table(4);
  const ShardKey one{WorldId{1}, {0, 0}}, other{WorldId{1}, {0, 1}};
  const CoreId home = owner_core(one, 4), away = static_cast<CoreId>((home + 1) % 4);
  EXPECT_EQ(table.owner(one), home);
  table.set(one, away);
  EXPECT_EQ(table.owner(one), away);
  EXPECT_EQ(table.owner(other), owner_core(other, 4));
  EXPECT_EQ(table.owner({WorldId{2}, {0, 0}}), owner_core({WorldId{2}, {0, 0}}, 4));
  EXPECT_EQ(table.moved(), 1u);
  table.set(one, home);
  EXPECT_EQ(table.owner(one), home);
  EXPECT_EQ(table.moved(), 0u);
}

}  // namespace
}  // namespace terrazzo::shard

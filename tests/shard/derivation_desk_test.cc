#include "server/shard/derivation_desk.h"

#include <gtest/gtest.h>

#include "map/edit_apply.h"

namespace terrazzo::shard {
namespace {

constexpr WorldId kWorld{9};

// The world's owners and its coordinator, as the desk sees them: every cell of layer 0 is 1, but for a wall of 2 along
// x = 3; answers wait until the test lets them go.
struct Recorder final : DerivationOutput {
  void read(std::unique_ptr<CellsRequest> request) override { asked.push_back(std::move(request)); }
  void derived(std::unique_ptr<CoordinatedRequest> request) override { made.push_back(std::move(request)); }
  void outcome(EditOutcome outcome) override { outcomes.push_back(std::move(outcome)); }

  static std::unique_ptr<CellsRequest> answered(std::unique_ptr<CellsRequest> request) {
    for (std::int64_t y = request->rect.y0; y < request->rect.y1; ++y)
      for (std::int64_t x = request->rect.x0; x < request->rect.x1; ++x)
        request->cells.push_back(map::Cell{request->layer != 0 ? 0u : x == 3 ? 2u : 1u});
    return request;
  }
  void answer_all(DerivationDesk& desk) {
    while (!asked.empty()) {
      auto first = std::move(asked.front());
      asked.erase(asked.begin());
      desk.cells(answered(std::move(first)), *this);
    }
  }
  std::vector<std::unique_ptr<CellsRequest>> asked;
  std::vector<std::unique_ptr<CoordinatedRequest>> made;
  std::vector<EditOutcome> outcomes;
};

std::unique_ptr<CoordinatedRequest> request(const map::Op& op, std::uint64_t id = 1) {
  auto made = std::make_unique<CoordinatedRequest>();
  made->world = kWorld;
  made->origin = {SessionId{3}, 4, 5, 1};
  made->id = EditId{id};
  made->derived = op;
  made->time_us = 77;
  return made;
}

TEST(DerivationDesk, ACopyReadsItsSourcesAndWritesToItsTargets) {
  Recorder out;
  DerivationDesk desk(2);
  // From the corner of four shards into one.
  desk.ask(request(map::copy_op(0, {-5, -5, 5, 5}, 1, {100, 100}, {})), out);
  ASSERT_EQ(out.asked.size(), 4u);
  for (const auto& asked : out.asked) {
    EXPECT_EQ(asked->asked_by, 2);
    EXPECT_TRUE(map::cells_of(asked->shard.position).contains(asked->rect));
    EXPECT_EQ(asked->rect.area(), 25u);
  }
  out.answer_all(desk);
  EXPECT_TRUE(desk.idle());
  ASSERT_EQ(out.made.size(), 1u);
  const CoordinatedRequest& whole = *out.made[0];
  EXPECT_FALSE(whole.derived);
  ASSERT_EQ(whole.parts.size(), 1u);
  const EditRequest& part = *whole.parts[0];
  EXPECT_EQ(part.shard, (ShardKey{kWorld, {0, 0}}));
  EXPECT_EQ(part.origin.session, SessionId{3});
  EXPECT_EQ(part.edit.id, EditId{1});
  EXPECT_EQ(part.time_us, 77u);
  ASSERT_EQ(part.edit.ops.size(), 1u);
  const map::Op& op = part.edit.ops[0];
  EXPECT_EQ(op.layer, 1);
  EXPECT_EQ(op.rect, map::Rect::of_size(100, 100, 10, 10));
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(op.cells[i].bits, i % 10 == 8 ? 2u : 1u);
}

TEST(DerivationDesk, AFloodChangesOnlyWhatStillHoldsWhatWasSeen) {
  Recorder out;
  DerivationDesk desk(0);
  desk.ask(request(map::flood_op(0, {-5, -5}, map::Cell{7}, {-10, -10, 10, 10})), out);
  out.answer_all(desk);
  ASSERT_EQ(out.made.size(), 1u);
  std::uint64_t cells = 0;
  for (const auto& part : out.made[0]->parts) {
    EXPECT_TRUE(part->edit.ops.empty());
    for (const Swap& swap : part->swaps) {
      EXPECT_TRUE(map::cells_of(part->shard.position).contains(swap.rect));
      EXPECT_EQ(swap.from, map::Cell{1});
      EXPECT_EQ(swap.to, map::Cell{7});
      EXPECT_LE(swap.rect.x1, 3);  // not over the wall
      cells += swap.rect.area();
    }
  }
  EXPECT_EQ(cells, 13u * 20);
}

TEST(DerivationDesk, EachShardOfTheBoundsGetsAPart) {  // sent again, it meets the same ones
  Recorder out;
  DerivationDesk desk(0);
  desk.ask(request(map::flood_op(0, {5, 5}, map::Cell{7}, {4, -10, 10, 10})), out);
  desk.ask(request(map::flood_op(0, {5, 5}, map::Cell{1}, {-10, -10, 10, 10}), 2), out);  // has it already
  out.answer_all(desk);
  ASSERT_EQ(out.made.size(), 2u);
  EXPECT_EQ(out.made[0]->parts.size(), 2u);
  EXPECT_EQ(out.made[1]->parts.size(), 4u);
  for (const auto& part : out.made[1]->parts) EXPECT_TRUE(part->swaps.empty() && part->edit.ops.empty());
}

TEST(DerivationDesk, WhatCannotBeReadIsRefused) {
  Recorder out;
  DerivationDesk desk(0);
  desk.ask(request(map::copy_op(0, {-5, -5, 5, 5}, 1, {100, 100}, {})), out);
  for (auto& asked : std::exchange(out.asked, {})) {
    if (asked->shard.position.x == 0 && asked->shard.position.y == 0)
      asked->error = Error{ErrorCode::read_only, "damaged"};
    auto answer = asked->error ? std::move(asked) : Recorder::answered(std::move(asked));
    desk.cells(std::move(answer), out);
  }
  EXPECT_TRUE(out.made.empty());
  ASSERT_EQ(out.outcomes.size(), 1u);
  EXPECT_EQ(out.outcomes[0].stage, EditOutcome::Stage::rejected);
  EXPECT_EQ(out.outcomes[0].error->code, ErrorCode::read_only);
  EXPECT_EQ(out.outcomes[0].origin.connection_slot, 4u);
  EXPECT_TRUE(desk.idle());
}

TEST(DerivationDesk, DoesSoManyAtATimeAndTheOthersLater) {
  Recorder out;
  DerivationDesk desk(0);
  for (std::uint64_t id = 1; id <= 40; ++id)
    desk.ask(request(map::copy_op(0, {-5, 0, 5, 5}, 1, {100, 100}, {}), id), out);
  EXPECT_LT(out.asked.size(), 80u);
  EXPECT_EQ(desk.waiting(), 40u);
  out.answer_all(desk);
  ASSERT_EQ(out.made.size(), 40u);
  for (std::uint64_t id = 1; id <= 40; ++id) EXPECT_EQ(out.made[id - 1]->id, EditId{id});
}

}  // namespace
}  // namespace terrazzo::shard

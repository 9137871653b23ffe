// Reverts of a shard's past, from its log and file, against every change of every cell in plain memory.
#include "server/app/revert_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "painted_past.h"
#include "server/app/revert_canvas.h"

namespace terrazzo::app {
namespace {

using http::RevertAsk;

struct Wish {
  RevertAsk ask;
  std::optional<int> user;
};

bool matches(const Wish& wish, const PaintedPast::Change& change) {
  return change.user == wish.user.value_or(change.user) && change.time_us >= wish.ask.since_us.value_or(0) &&
         (!wish.ask.until_us || change.time_us < *wish.ask.until_us);
}

// The rule of decision 20, cell by cell.
struct Expected {
  std::uint64_t cells = 0, same = 0, skipped = 0;
  std::map<std::tuple<unsigned, std::int64_t, std::int64_t>, std::pair<map::Cell, map::Cell>> swaps;
  std::map<int, std::uint64_t> cells_of;
};
void look_at(const Wish& wish, const PaintedPast::Past& past, const std::tuple<unsigned, std::int64_t, std::int64_t>& at,
             Expected& expected) {
  if (past.empty()) return;
  const bool reverts = matches(wish, past.back());
  auto newest = past.rbegin();
  while (newest != past.rend() && !matches(wish, *newest)) ++newest;
  if (newest == past.rend()) return;
  map::Cell before;
  for (; newest != past.rend() && matches(wish, *newest); ++newest) before = newest->before;
  if (past.back().after == before) {
    ++expected.same;
  } else if (!reverts) {
    ++expected.skipped;
  } else {
    ++expected.cells;
    ++expected.cells_of[past.back().user];
    expected.swaps[at] = {past.back().after, before};
  }
}
Expected expected_of(PaintedPast& painted, const Wish& wish) {
  Expected expected;
  const map::Rect area = PaintedPast::place().intersect(wish.ask.area.value_or(map::kPlane));
  for (unsigned layer = 0; layer < PaintedPast::kLayers; ++layer) {
    if (wish.ask.layer.value_or(static_cast<map::LayerId>(layer)) != layer) continue;
    for (std::int64_t y = area.y0; y < area.y1; ++y)
      for (std::int64_t x = area.x0; x < area.x1; ++x)
        look_at(wish, painted.past(static_cast<map::LayerId>(layer), x, y), {layer, x, y}, expected);
  }
  return expected;
}

// What the plan's swaps say.
auto swaps_of(const RevertPlan& plan) {
  decltype(Expected::swaps) all;
  for (const auto& part : plan.parts) {
    EXPECT_EQ(part->shard, (shard::ShardKey{PaintedPast::kWorld, PaintedPast::kShard}));
    for (const shard::Swap& swap : part->swaps) {
      std::size_t count = 0;
      for (std::int64_t y = swap.rect.y0; y < swap.rect.y1; ++y)
        for (std::int64_t x = swap.rect.x0; x < swap.rect.x1; ++x, ++count) {
          const map::Cell from = swap.from_cells.empty() ? swap.from : swap.from_cells[count],
                          to = swap.to_cells.empty() ? swap.to : swap.to_cells[count];
          if (from == to) continue;
          EXPECT_TRUE(all.emplace(std::tuple(unsigned{swap.layer}, x, y), std::pair(from, to)).second);
        }
    }
  }
  return all;
}

Wish some_wish(PaintedPast& painted) {
  Wish wish;
  const auto some_time = [&] { return painted.now_us() - painted.pick(60) * 10'000'000; };
  if (painted.pick(4) != 0) wish.user = static_cast<int>(painted.pick(PaintedPast::kUsers));
  if (painted.pick(2) == 0) wish.ask.since_us = some_time();
  if (painted.pick(3) == 0) wish.ask.until_us = some_time();
  if (painted.pick(3) == 0) wish.ask.layer = static_cast<map::LayerId>(painted.pick(2));
  if (painted.pick(2) == 0) wish.ask.area = painted.some_rect(250);
  return wish;
}

Result<RevertPlan> plan_of(PaintedPast& painted, const Wish& wish) {
  return plan_revert(painted.data(), painted.gather(), wish.ask,
                     wish.user ? std::optional(PaintedPast::user(*wish.user)) : std::nullopt);
}

std::uint64_t first_seed() {
  const char* given = std::getenv("TERRAZZO_REVERT_SEED");
  return given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
}

TEST(RevertPlan, IsWhatTheRuleSaysCellByCell) {
  const std::uint64_t seed = first_seed();
  std::printf("TERRAZZO_REVERT_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (std::uint64_t round = 0; round < 12 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(seed + round);
    PaintedPast painted(seed + round);
    for (std::uint64_t i = 5 + painted.pick(50); i > 0; --i) painted.paint();
    painted.write_log();
    for (int asks = 0; asks < 4 && !testing::Test::HasFailure(); ++asks) {
      const Wish wish = some_wish(painted);
      const auto plan = plan_of(painted, wish);
      ASSERT_TRUE(plan.ok()) << plan.error().message;
      const Expected expected = expected_of(painted, wish);
      EXPECT_EQ(plan->info.cells, expected.cells);
      EXPECT_EQ(plan->info.same, expected.same);
      EXPECT_EQ(plan->info.skipped, expected.skipped);
      EXPECT_EQ(plan->info.lost, 0u);
      EXPECT_TRUE(swaps_of(*plan) == expected.swaps);
      std::uint64_t cells = 0, skipped = 0;
      for (const auto& area : plan->info.areas) cells += area.cells, skipped += area.skipped;
      EXPECT_EQ(cells, expected.cells);
      EXPECT_EQ(skipped, expected.skipped);
      for (const auto& author : plan->info.authors)
        for (int user = 0; user < PaintedPast::kUsers; ++user)
          if (author.user == PaintedPast::user(user)) {
            const auto known = expected.cells_of.find(user);
            EXPECT_EQ(author.cells, known == expected.cells_of.end() ? 0 : known->second);
          }
    }
  }
}

map::Op fill(const map::Rect& rect, std::uint32_t tile) {
  return {map::OpKind::fill, 0, rect, map::Cell{tile}, {}, {}};
}

TEST(RevertPlan, GoesBackToBeforeTheUsersOwnRunOnly) {
  PaintedPast painted(1);
  const map::Rect place = map::Rect::of_size(PaintedPast::place().x0, PaintedPast::place().y0, 4, 1);
  painted.apply(0, fill(place, 1));
  painted.apply(1, fill(place, 2));
  painted.apply(0, fill(place, 3));
  painted.apply(0, fill(place, 4));
  painted.write_log();
  Wish wish;
  wish.user = 0;
  const auto plan = plan_of(painted, wish);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->info.edits, 3u);
  ASSERT_EQ(plan->parts.size(), 1u);
  ASSERT_EQ(plan->parts[0]->swaps.size(), 1u);
  EXPECT_EQ(plan->parts[0]->swaps[0].from, map::Cell{4});
  EXPECT_EQ(plan->parts[0]->swaps[0].to, map::Cell{2}) << "what the other one painted, not the empty beginning";
}

TEST(RevertPlan, SaysWhatIsLostWhereTheStateBeforeALargeEditIsNotKept) {
  PaintedPast painted(1);
  const map::Rect all = PaintedPast::place();
  const map::Rect large = map::Rect::of_size(all.x0, all.y0, 300, 220), corner = map::Rect::of_size(all.x0, all.y0, 2, 2);
  painted.apply(0, fill(large, 1));
  painted.apply(1, fill(corner, 2));
  // Undo points of more than these are let go.
  for (std::uint32_t i = 0; i < shard::Shard::kUndoPoints; ++i)
    painted.apply(2, {map::OpKind::fill, 1, large, map::Cell{1 + i % 2}, {}, {}});
  painted.write_log();
  Wish wish;
  wish.user = 0;
  auto plan = plan_of(painted, wish);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->info.cells, 0u);
  EXPECT_EQ(plan->info.lost, large.area() - corner.area());
  wish.user = 1;
  plan = plan_of(painted, wish);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->info.cells, corner.area());
  EXPECT_EQ(plan->info.lost, 0u);
}

TEST(RevertPlan, OfMoreThanMemoryHoldsIsRefusedAndNamesTheLimit) {
  RevertCanvas canvas(std::nullopt);
  Status expected;
  for (int x = 0; x < 5 && expected; ++x)
    expected = canvas.expect(0, map::Rect::of_size(0, std::int64_t{x} * 20'000, 32 * 512, 32 * 512));
  ASSERT_FALSE(expected);
  EXPECT_EQ(expected.error().code, ErrorCode::too_large);
  EXPECT_NE(expected.error().message.find("1048576 chunks"), std::string::npos) << expected.error().message;

  RevertCanvas open(std::nullopt);
  ASSERT_TRUE(open.expect(0, map::Rect::of_size(0, 0, 8192, 8192)));
  shard::ChunkCells before{}, after{};
  after[5].bits = 1;
  Status changed;
  for (std::int32_t i = 0; i < 65536 && changed; ++i) changed = open.change(0, {i % 256, i / 256}, before, after, 0);
  ASSERT_FALSE(changed);
  EXPECT_NE(changed.error().message.find("16384 chunks"), std::string::npos) << changed.error().message;
}

}  // namespace
}  // namespace terrazzo::app

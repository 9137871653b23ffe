// Cells of times gone by, from a shard's log and file, against every change of every cell in plain memory.
#include "server/app/past_cells.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "painted_past.h"

namespace terrazzo::app {
namespace {

// The newest change up to then counts.
std::vector<map::Cell> expected_of(PaintedPast& painted, map::LayerId layer, const map::Rect& rect,
                                   std::uint64_t at_us) {
  std::vector<map::Cell> cells;
  for (std::int64_t y = rect.y0; y < rect.y1; ++y)
    for (std::int64_t x = rect.x0; x < rect.x1; ++x) {
      map::Cell cell;
      for (const PaintedPast::Change& change : painted.past(layer, x, y))
        if (change.time_us <= at_us) cell = change.after;
      cells.push_back(cell);
    }
  return cells;
}

std::uint64_t first_seed() {
  const char* given = std::getenv("TERRAZZO_PAST_SEED");
  return given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
}

TEST(PastCells, AreWhatTheyWereAtThatTime) {
  const std::uint64_t seed = first_seed();
  std::printf("TERRAZZO_PAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (std::uint64_t round = 0; round < 12 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(seed + round);
    PaintedPast painted(seed + round);
    for (std::uint64_t i = 5 + painted.pick(50); i > 0; --i) painted.paint();
    painted.write_log();
    for (int asks = 0; asks < 4; ++asks) {
      const auto layer = static_cast<map::LayerId>(painted.pick(2));
      const map::Rect rect = painted.some_rect(250);
      // Between edits, at one, before all, and after.
      const std::uint64_t at = painted.now_us() - painted.pick(60) * 10'000'000 + painted.pick(2) * 5'000'000;
      const auto past = cells_of_past(painted.data(), painted.gather(), layer, rect, at);
      ASSERT_TRUE(past.ok()) << past.error().message;
      EXPECT_TRUE(past->cells == expected_of(painted, layer, rect, at));
      const auto now = cells_of_past(painted.data(), painted.gather(), layer, rect, std::nullopt);
      ASSERT_TRUE(now.ok()) << now.error().message;
      EXPECT_TRUE(now->cells == expected_of(painted, layer, rect, painted.now_us()));
    }
  }
}

TEST(PastCells, BeforeALargeEditWhoseStateWentAreNotFoundAndItIsNamed) {
  PaintedPast painted(1);
  const map::Rect all = PaintedPast::place(), large = map::Rect::of_size(all.x0, all.y0, 300, 220);
  const std::uint64_t begin = painted.now_us();
  painted.apply(0, {map::OpKind::fill, 0, large, map::Cell{1}, {}, {}});
  const std::uint64_t after = painted.now_us();
  for (std::uint32_t i = 0; i < shard::Shard::kUndoPoints; ++i)
    painted.apply(2, {map::OpKind::fill, 1, large, map::Cell{1 + i % 2}, {}, {}});
  painted.write_log();
  const map::Rect corner = map::Rect::of_size(all.x0, all.y0, 2, 2);
  const auto before = cells_of_past(painted.data(), painted.gather(), 0, corner, begin);
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code, ErrorCode::not_found);
  EXPECT_NE(before.error().message.find("1:1"), std::string::npos) << before.error().message;
  EXPECT_NE(before.error().message.find(time_text(after)), std::string::npos) << before.error().message;
  EXPECT_TRUE(cells_of_past(painted.data(), painted.gather(), 0, corner, after).ok());
  EXPECT_TRUE(cells_of_past(painted.data(), painted.gather(), 0, map::Rect::of_size(all.x0, all.y1 - 2, 2, 2), begin).ok())
      << "where the edit was not";
}

}  // namespace
}  // namespace terrazzo::app

// Copies and floods before the server has them, shapes, and chat.
#include <cmath>
#include <map>
#include <set>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

using Derived = SyncMachineTest;

TEST_F(Derived, ACopyIsShownAtOnceAndThenWhatTheServerSays) {
  go_live();
  subscribe();
  paint(0, 5);
  paint(1, 6);
  const EditId copy = *machine.edit(EditDraft().copy(kLayer, map::Rect::of_size(0, 0, 2, 1), kLayer, {40, 0},
                                                     map::Turn::of(map::Flip::horizontal, 0)),
                                    map::AckMode::durable);
  EXPECT_EQ(shown(40), 6u | map::Cell::kFlipHorizontal);
  EXPECT_EQ(shown(41), 5u | map::Cell::kFlipHorizontal);
  EXPECT_EQ(confirmed(40), 0u);
  // Somebody else was there before: the server copied something else.
  const map::Cell cells[] = {map::Cell{8}, map::Cell{9}};
  const map::Op op{map::OpKind::set, kLayer, map::Rect::of_size(40, 0, 2, 1), {}, {}, cells};
  machine.received(proto::Applied{{0, 0}, Lsn{4}, SessionId{9}, copy, {&op, 1}}, 1000);
  ack(copy, {{{0, 0}, Lsn{4}}}, true);
  EXPECT_EQ(shown(40), 8u);
  EXPECT_EQ(shown(41), 9u);
}

TEST_F(Derived, AFloodIsShownAsFarAsTheCellsAreKnown) {
  go_live();
  subscribe();  // 64×32 cells
  const EditId flood = *machine.edit(EditDraft()
                                         .fill(kLayer, map::Rect::of_size(10, 0, 1, 32), map::Cell{3})
                                         .flood(kLayer, {20, 20}, map::Cell{7}, map::Rect::of_size(0, 0, 200, 200)),
                                     map::AckMode::durable);
  EXPECT_EQ(shown(9), 0u);  // behind the wall that the same edit made
  EXPECT_EQ(shown(10), 3u);
  EXPECT_EQ(shown(11), 7u);
  EXPECT_EQ(shown(63), 7u);
  machine.received(proto::Reject{flood, ErrorCode::claimed, "no", {}, {}}, 1000);
  EXPECT_EQ(shown(11), 0u);
  EXPECT_EQ(shown(10), 0u);
}

TEST_F(Derived, WhatIsNotKnownIsNotGuessed) {
  go_live();
  subscribe();
  ASSERT_TRUE(machine.edit(EditDraft().copy(kLayer, map::Rect::of_size(100, 0, 2, 1), kLayer, {0, 0}), {}).ok());
  EXPECT_EQ(shown(0), 0u);
  EXPECT_EQ(out.edits.size(), 1u);
}

TEST_F(Derived, WrongOnesNeverLeave) {
  go_live();
  subscribe();
  const map::Rect large = map::Rect::of_size(0, 0, 1000, 1000);
  EXPECT_EQ(machine.edit(EditDraft().copy(kLayer, large, kLayer, {5, 5}), {}).error().code, ErrorCode::too_large);
  EXPECT_EQ(machine.edit(EditDraft().flood(kLayer, {2000, 5}, map::Cell{1}, large), {}).error().code,
            ErrorCode::too_large);
  EXPECT_EQ(
      machine.edit(EditDraft().flood(kLayer, {200, 5}, map::Cell{1}, map::Rect::of_size(0, 0, 9, 9)), {}).error().code,
      ErrorCode::bad_message);
  EXPECT_TRUE(out.edits.empty());
}

TEST_F(Derived, ChatGoesOutAndComesBack) {
  EXPECT_EQ(machine.chat("hello").error().code, ErrorCode::conflict);
  go_live();
  EXPECT_TRUE(machine.chat("hello").ok());
  EXPECT_EQ(out.said, std::vector<std::string>{"hello"});
  for (const std::string& wrong : {std::string(), std::string(1025, 'x'), std::string("is\xFFn")})
    EXPECT_EQ(machine.chat(wrong).error().code, ErrorCode::bad_message);
  out.is_writable = false;
  EXPECT_EQ(machine.chat("hello").error().code, ErrorCode::overloaded);
  machine.received(proto::ChatOf{SessionId{77}, "Ada", "Größe"}, 1000);
  const auto& said = std::get<Chatted>(out.events.back());
  EXPECT_EQ(said.session, SessionId{77});
  EXPECT_EQ(said.name, "Ada");
  EXPECT_EQ(said.text, "Größe");
}

// What a draft writes, and how often.
std::map<std::pair<std::int64_t, std::int64_t>, int> written(const EditDraft& draft) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> cells;
  for (const map::Op& op : draft.ops())
    for (std::int64_t y = op.rect.y0; y < op.rect.y1; ++y)
      for (std::int64_t x = op.rect.x0; x < op.rect.x1; ++x) ++cells[{x, y}];
  return cells;
}

TEST(Shapes, ALineIsBresenhamsInEveryDirection) {
  for (int dx = -9; dx <= 9; ++dx) {
    for (int dy = -9; dy <= 9; ++dy) {
      const auto cells = written(EditDraft().line(1, {100, 100}, {100 + dx, 100 + dy}, map::Cell{1}));
      const int steps = std::max(std::abs(dx), std::abs(dy));
      ASSERT_EQ(cells.size(), static_cast<std::size_t>(steps + 1)) << dx << "," << dy;
      for (int i = 0; i <= steps; ++i) {
        // Along the longer side the nearest cell of the other one, halves away from the start.
        const auto at = [&](int d) {
          const int far = steps == 0 ? 0 : (2 * i * std::abs(d) + steps) / (2 * steps);
          return 100 + (d < 0 ? -far : far);
        };
        ASSERT_TRUE(cells.contains({at(dx), at(dy)})) << dx << "," << dy << " step " << i;
      }
    }
  }
}

TEST(Shapes, AThickLineIsASquareBrushAlongTheThinOne) {
  for (const int thickness : {1, 2, 3, 6}) {
    for (const map::CellPos to : {map::CellPos{30, 7}, {-7, 30}, {-12, -12}, {5, 0}, {0, -9}, {0, 0}}) {
      std::set<std::pair<std::int64_t, std::int64_t>> expected;
      for (const auto& [cell, count] : written(EditDraft().line(1, {0, 0}, to, map::Cell{1})))
        for (int y = 0; y < thickness; ++y)
          for (int x = 0; x < thickness; ++x)
            expected.insert({cell.first - (thickness - 1) / 2 + x, cell.second - (thickness - 1) / 2 + y});
      std::set<std::pair<std::int64_t, std::int64_t>> got;
      for (const auto& [cell, count] : written(EditDraft().line(1, {0, 0}, to, map::Cell{1}, thickness))) {
        EXPECT_EQ(count, 1);
        got.insert(cell);
      }
      EXPECT_EQ(got, expected) << thickness << " to " << to.x << "," << to.y;
    }
  }
  EXPECT_EQ(EditDraft().line(1, {0, 0}, {5000, 0}, map::Cell{1}, 4).ops().size(), 1u);
}

TEST(Shapes, AStampLeavesAloneWhereItIsEmpty) {
  const map::Cell pattern[] = {map::Cell{1}, map::Cell{0}, map::Cell{2},  //
                               map::Cell{3}, map::Cell{0}, map::Cell{4},  //
                               map::Cell{5}, map::Cell{6}};
  const EditDraft draft = EditDraft().stamp(1, {-1, 10}, 3, pattern);
  const auto cells = written(draft);
  EXPECT_EQ(cells.size(), 6u);
  EXPECT_FALSE(cells.contains({0, 10}));
  for (const map::Op& op : draft.ops())
    for (std::size_t i = 0; i < op.cells.size(); ++i) {
      const auto column = op.rect.x0 + 1 + static_cast<std::int64_t>(i) % op.rect.width();
      const auto row = op.rect.y0 - 10 + static_cast<std::int64_t>(i) / op.rect.width();
      EXPECT_EQ(op.cells[i], pattern[row * 3 + column]);
    }
  EXPECT_EQ(draft.ops().size(), 3u);  // two columns of two rows, and the last row
}

TEST(Shapes, OutlinesKeepToTheirRectangle) {
  EXPECT_EQ(written(EditDraft().outline(1, {0, 0, 10, 6}, map::Cell{1})).size(), 28u);
  EXPECT_EQ(written(EditDraft().outline(1, {0, 0, 10, 6}, map::Cell{1}, 2)).size(), 48u);
  EXPECT_EQ(written(EditDraft().outline(1, {0, 0, 10, 6}, map::Cell{1}, 3)).size(), 60u);
  for (std::int64_t w = 1; w < 24; ++w) {
    for (std::int64_t h = 1; h < 24; ++h) {
      const auto cells = written(EditDraft().ellipse(1, map::Rect::of_size(-3, 5, w, h), map::Cell{1}));
      std::set<std::int64_t> columns, rows;
      for (const auto& [cell, count] : cells) {
        EXPECT_EQ(count, 1);
        const std::int64_t x = cell.first + 3, y = cell.second - 5;
        ASSERT_TRUE(x >= 0 && x < w && y >= 0 && y < h) << w << "×" << h;
        columns.insert(x);
        rows.insert(y);
        // The same from all sides.
        EXPECT_TRUE(cells.contains({w - 1 - x - 3, cell.second}) && cells.contains({cell.first, h - 1 - y + 5}));
      }
      EXPECT_EQ(rows.size(), static_cast<std::size_t>(h)) << w << "×" << h;
      EXPECT_EQ(columns.size(), static_cast<std::size_t>(w)) << w << "×" << h;
    }
  }
}

}  // namespace
}  // namespace terrazzo::client

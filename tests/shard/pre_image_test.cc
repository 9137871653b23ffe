// What log records keep of the past: decoded and applied after any edit, the shard holds what it held before.
#include "server/shard/pre_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "server/shard/log_record.h"
#include "server/shard/store_apply.h"
#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

TEST_F(ShardTest, UndoingFromTheLogBackwardsLeadsBackToEveryState) {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    file = MemoryPageFile();
    created = false;
    out = RecordingOutput();
    start(1);
    const auto look = [&] {
      std::vector<std::uint32_t> cells;
      for (int i = 0; i < 2 * 200 * 200; ++i)
        cells.push_back(cell(static_cast<map::LayerId>(i % 2), {i / 2 % 200, i / 400}));
      return cells;
    };
    std::vector<std::vector<std::uint32_t>> states{look()};
    std::vector<map::Cell> cells;
    for (std::uint64_t id = 1; id <= 40; ++id) {
      // Several ops that overlap: the pre-image is that of the whole edit.
      std::vector<map::Op> ops;
      std::vector<std::vector<map::Cell>> kept;
      for (unsigned n = 1 + static_cast<unsigned>(random() % 4); n > 0; --n) {
        map::Op op{static_cast<map::OpKind>(random() % 3),
                   static_cast<map::LayerId>(random() % 2),
                   map::Rect::of_size(random() % 150, random() % 150, 1 + random() % 45, 1 + random() % 45),
                   map::Cell{static_cast<std::uint32_t>(random() % 4)},
                   map::Cell{static_cast<std::uint32_t>(random() % 4)},
                   {}};
        if (op.kind == map::OpKind::set) {
          kept.emplace_back(op.rect.area());
          for (map::Cell& c : kept.back()) c.bits = static_cast<std::uint32_t>(random() % (n == 1 ? 1000 : 2));
          op.cells = kept.back();
        }
        ops.push_back(op);
      }
      auto parts = split_edit(kWorld, {SessionId{1}, 0, 0, 0}, {EditId{id}, map::AckMode::durable, ops, {}});
      ASSERT_TRUE(parts.ok());
      shard->edit(*parts->front(), out);
      states.push_back(look());
    }
    for (std::size_t i = out.records.size(); i > 0; --i) {
      Arena arena;
      const auto logged = decode_edit(out.records[i - 1].payload, arena);
      ASSERT_TRUE(logged.ok());
      ASSERT_EQ(logged->pre_image_kind, PreImageKind::cells);
      const auto inverse = decode_pre_image(logged->edit.ops, logged->pre_image, arena);
      ASSERT_TRUE(inverse.ok()) << inverse.error().message;
      for (std::size_t cut = 0; cut < logged->pre_image.size(); cut += 7)
        EXPECT_FALSE(decode_pre_image(logged->edit.ops, logged->pre_image.first(cut), arena).ok());
      auto undo = split_edit(kWorld, {SessionId{2}, 0, 0, 0}, {EditId{i}, map::AckMode::durable, *inverse, {}});
      // Ids of a session count up: another session for each.
      undo->front()->origin.session = SessionId{100 + i};
      RecordingOutput ignored;
      shard->edit(*undo->front(), ignored);
      ASSERT_EQ(look(), states[i - 1]) << "edit " << i;
    }
  }
}

TEST_F(ShardTest, ThePastOfAnEditTakesNoMoreThanItsCells) {
  std::vector<map::Cell> noise(64 * 64);
  std::mt19937 random(1);
  for (map::Cell& c : noise) c.bits = static_cast<std::uint32_t>(random());
  edit(1, {map::OpKind::set, 0, map::Rect::of_size(0, 0, 64, 64), {}, {}, noise});
  const std::size_t empty_before = out.records.back().payload.size();
  edit(2, fill(map::Rect::of_size(0, 0, 64, 64), 3));
  const std::size_t noise_before = out.records.back().payload.size();
  edit(3, fill(map::Rect::of_size(0, 0, 64, 64), 4));
  EXPECT_LE(empty_before, noise.size() * 4 + 100);
  EXPECT_LE(noise_before, noise.size() * 4 + 100);
  EXPECT_LE(out.records.back().payload.size(), 100u);  // one cell stands for all
  edit(4, fill(map::Rect::of_size(0, 0, 8000, 8000), 4));
  Arena arena;
  EXPECT_EQ(decode_edit(out.records.back().payload, arena)->pre_image_kind, PreImageKind::pinned);
  EXPECT_NE(shard->store()->find_pin(storage::PinKind::undo_point, 4), nullptr);
}

}  // namespace
}  // namespace terrazzo::shard

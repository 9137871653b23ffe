// Copies and floods in one shard: what is logged, told and refused. What they do to cells is for undo_test.cc and
// tests/map/derived_test.cc.
#include <gtest/gtest.h>

#include <deque>

#include "server/shard/log_record.h"
#include "server/shard/undo_points.h"
#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

class DerivedEditTest : public ShardTest {
 protected:
  std::vector<map::Op> logged(std::size_t record) {
    const auto decoded = decode_edit(out.records.at(record).payload, arena_);
    EXPECT_TRUE(decoded.ok());
    return {decoded->edit.ops.begin(), decoded->edit.ops.end()};
  }
  std::vector<proto::Applied> told() {
    std::vector<proto::Applied> all;
    for (const RecordingOutput::Published& each : out.published) {
      const SharedBytes& frame = each.publication->frame[static_cast<std::size_t>(proto::Form::binary)];
      // A server's frame: two bytes, and two or eight of length where it is not short.
      const auto length = static_cast<unsigned>(frame.bytes()[1]);
      const std::size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;
      const auto payload = frame.bytes().subspan(header);
      kept_.emplace_back(payload.begin(), payload.end());  // aligned
      const auto messages = proto::decode_server_messages(proto::Form::binary, kept_.back(), arena_);
      EXPECT_TRUE(messages.ok());
      for (const proto::ServerMessage& message : *messages) all.push_back(std::get<proto::Applied>(message));
    }
    return all;
  }
  Arena arena_;
  std::deque<proto::ByteBuffer> kept_;
};

TEST_F(DerivedEditTest, ACopyIsLoggedAndToldAsTheCellsItWrites) {
  edit(1, fill({0, 0, 3, 2}, 5));
  edit(2, fill({0, 0, 1, 1}, 6));
  shard->subscribe(subscription({0, 0, 4, 4}), out);
  edit(3, map::copy_op(0, {0, 0, 3, 2}, 1, {40, 50}, map::Turn::of(map::Flip::none, 1)));
  EXPECT_EQ(cell(1, {41, 50}), 6u | map::Cell::kFlipHorizontal | map::Cell::kFlipDiagonal);
  EXPECT_EQ(cell(1, {40, 52}), 5u | map::Cell::kFlipHorizontal | map::Cell::kFlipDiagonal);
  const std::vector<map::Op> ops = logged(2);
  ASSERT_EQ(ops.size(), 1u);
  EXPECT_EQ(ops[0].kind, map::OpKind::set);
  EXPECT_EQ(ops[0].layer, 1);
  EXPECT_EQ(ops[0].rect, map::Rect::of_size(40, 50, 2, 3));
  const std::vector<proto::Applied> messages = told();
  ASSERT_EQ(messages.size(), 1u);
  ASSERT_EQ(messages[0].ops.size(), 1u);
  EXPECT_EQ(messages[0].ops[0].cells[1].bits, cell(1, {41, 50}));
}

TEST_F(DerivedEditTest, AFloodIsLoggedAsWhatItFills) {
  edit(1, fill({0, 0, 100, 100}, 5));
  edit(2, map::flood_op(0, {50, 50}, map::Cell{7}, {0, 0, 200, 200}));
  edit(3, map::flood_op(0, {50, 50}, map::Cell{7}, {0, 0, 200, 200}));  // nothing is left to do
  EXPECT_EQ(cell(0, {99, 99}), 7u);
  EXPECT_EQ(cell(0, {100, 99}), 0u);
  std::uint64_t cells = 0;
  for (const map::Op& op : logged(1)) {
    EXPECT_EQ(op.kind, map::OpKind::fill);
    cells += op.rect.area();
  }
  EXPECT_EQ(cells, 10000u);
  EXPECT_TRUE(logged(2).empty());
  EXPECT_EQ(out.count(Stage::applied), 3u);
}

TEST_F(DerivedEditTest, ALargeCopyIsToldByTheChunksThatAreWatched) {
  edit(1, fill({0, 0, 400, 400}, 5));
  edit(2, fill({10, 10, 300, 11}, 6));
  shard->subscribe(subscription({32, 0, 34, 1}), out);  // two chunks from x = 1024 on
  edit(3, map::copy_op(0, {0, 0, 400, 400}, 0, {1024, 0}, {}));
  EXPECT_TRUE(needs_undo_point(logged(2)));
  EXPECT_EQ(cell(0, {1034, 10}), 6u);
  EXPECT_EQ(cell(0, {1423, 399}), 5u);
  std::size_t chunks = 0;
  for (const proto::Applied& message : told()) {
    EXPECT_EQ(message.lsn, Lsn{3});
    for (const map::Op& op : message.ops) {
      EXPECT_EQ(op.rect.area(), 1024u);
      ++chunks;
    }
  }
  EXPECT_EQ(chunks, 2u);
}

TEST_F(DerivedEditTest, ReplayNeedsNothingButTheLog) {
  edit(1, fill({0, 0, 60, 60}, 5));
  edit(2, fill({20, 0, 21, 60}, 6));
  edit(3, map::copy_op(0, {0, 0, 60, 60}, 0, {5, 5}, map::Turn::of(map::Flip::horizontal, 1)));
  edit(4, map::flood_op(0, {30, 30}, map::Cell{9}, {0, 0, 300, 300}));
  std::vector<std::uint32_t> before, after;
  for (int i = 0; i < 70 * 70; ++i) before.push_back(cell(0, {i % 70, i / 70}));
  file = MemoryPageFile();
  created = false;
  start(2);
  for (const LoggedRecord& record : out.records) ASSERT_TRUE(shard->replay(record.view()).ok());
  for (int i = 0; i < 70 * 70; ++i) after.push_back(cell(0, {i % 70, i / 70}));
  EXPECT_EQ(before, after);
}

TEST_F(DerivedEditTest, ConditionsAreJudgedBeforeAnythingIsCopied) {
  edit(1, fill({0, 0, 10, 10}, 5));
  const map::Condition free{0, {20, 20, 30, 30}, map::Cell{0}, {}};
  edit(2, map::copy_op(0, {0, 0, 10, 10}, 0, {20, 20}, {}), {&free, 1});
  EXPECT_EQ(cell(0, {29, 29}), 5u);
  edit(3, map::copy_op(0, {0, 0, 10, 10}, 0, {20, 20}, {}), {&free, 1});
  ASSERT_EQ(out.count(Stage::rejected), 1u);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::condition_failed);
}

TEST_F(DerivedEditTest, AClaimIsInTheWayOfWhatAFloodWritesOnly) {  // CL-2
  edit(1, fill({0, 0, 100, 100}, 5));
  boost::intrusive_ptr<Claim> others(new Claim);
  others->user = UserId{99};
  others->rect = {150, 150, 160, 160};
  others->layers.set();
  others->serial = 1;
  shard->claims().add(others);
  edit(2, map::flood_op(0, {50, 50}, map::Cell{7}, {0, 0, 200, 200}));
  EXPECT_EQ(cell(0, {50, 50}), 7u);
  edit(3, map::flood_op(0, {170, 170}, map::Cell{7}, {0, 0, 200, 200}));
  edit(4, map::copy_op(0, {0, 0, 10, 10}, 0, {145, 145}, {}));
  edit(5, map::copy_op(0, {145, 145, 160, 160}, 0, {0, 0}, {}));  // reading is free
  ASSERT_EQ(out.count(Stage::rejected), 2u);
  EXPECT_EQ(cell(0, {170, 170}), 0u);
  EXPECT_EQ(cell(0, {145, 145}), 0u);
}

TEST_F(DerivedEditTest, SentAgainItIsKnown) {  // ED-7
  edit(1, fill({0, 0, 10, 10}, 5));
  edit(2, map::copy_op(0, {0, 0, 10, 10}, 0, {5, 0}, {}));
  edit(3, fill({0, 0, 10, 10}, 6));
  edit(2, map::copy_op(0, {0, 0, 10, 10}, 0, {5, 0}, {}));
  EXPECT_EQ(cell(0, {12, 0}), 5u);
  EXPECT_EQ(shard->lsn(), Lsn{3});
}

}  // namespace
}  // namespace terrazzo::shard

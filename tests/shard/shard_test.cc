#include "server/shard/shard.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "map/chunk_codec.h"
#include "map/edit_apply.h"
#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

// The chunks of a binary reply, decoded as a client would.
std::vector<proto::Chunk> chunks_of(const StatesReply& reply, Arena& arena) {
  std::vector<proto::Chunk> chunks;
  for (const SharedBytes& frame : reply.frames) {
    // One unmasked binary frame: skip its header.
    const std::span<const std::byte> bytes = frame.bytes();
    const auto length = std::to_integer<unsigned>(bytes[1]);
    const std::size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;
    const std::span<const std::byte> payload = bytes.subspan(header);
    const auto aligned = arena.allocate_array<std::uint64_t>((payload.size() + 7) / 8);
    std::memcpy(aligned.data(), payload.data(), payload.size());
    const auto messages = proto::decode_server_messages(
        proto::Form::binary, {reinterpret_cast<const std::byte*>(aligned.data()), payload.size()}, arena);
    EXPECT_TRUE(messages.ok());
    if (!messages) continue;
    for (const proto::ServerMessage& message : *messages)
      if (const auto* chunk = std::get_if<proto::Chunk>(&message)) chunks.push_back(*chunk);
  }
  return chunks;
}

TEST_F(ShardTest, MakesNoFileUntilTheFirstEdit) {
  shard->subscribe(subscription({0, 0, 2, 2}), out);
  EXPECT_FALSE(created);
  edit(1, fill({0, 0, 1, 1}, 5));
  EXPECT_TRUE(created);
  EXPECT_EQ(cell(0, {0, 0}), 5u);
}

TEST_F(ShardTest, AnswersAppliedAtOnceAndDurableAfterTheLog) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(out.count(Stage::applied), 2u);
  EXPECT_EQ(out.count(Stage::durable), 0u);
  shard->log_durable(1, out);
  ASSERT_EQ(out.count(Stage::durable), 1u);
  EXPECT_EQ(out.outcomes.back().edit, EditId{1});
  EXPECT_EQ(out.outcomes.back().mark.lsn, Lsn{1});
  EXPECT_EQ(shard->durable_lsn(), Lsn{1});
}

TEST_F(ShardTest, AppliesAnEditOnceHoweverOftenItIsSent) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({0, 0, 1, 1}, 6));
  edit(1, fill({0, 0, 1, 1}, 5));
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  EXPECT_EQ(out.records.size(), 2u);
  EXPECT_EQ(shard->lsn(), Lsn{2});
  shard->log_durable(2, out);
  EXPECT_EQ(out.count(Stage::durable), 3u);  // the copy is answered, too
}

TEST_F(ShardTest, RecognisesAnEditAfterACheckpointAndARestart) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({0, 0, 1, 1}, 6));
  checkpoint();
  start(2);
  edit(1, fill({0, 0, 1, 1}, 5));
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  EXPECT_EQ(out.outcomes.back().stage, Stage::durable);
}

TEST_F(ShardTest, ConditionsThatFailChangeNothing) {
  edit(1, fill({0, 0, 4, 4}, 5));
  const map::Condition wrong{0, map::Rect::of_size(0, 0, 5, 1), map::Cell{5}, {}};
  edit(2, fill({0, 0, 4, 4}, 6), {&wrong, 1});
  ASSERT_EQ(out.outcomes.back().stage, Stage::rejected);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::condition_failed);
  EXPECT_EQ(shard->lsn(), Lsn{1});
  const map::Condition right{0, map::Rect::of_size(0, 0, 4, 4), map::Cell{5}, {}};
  edit(3, fill({0, 0, 4, 4}, 6), {&right, 1});
  EXPECT_EQ(cell(0, {3, 3}), 6u);
}

TEST_F(ShardTest, AFullDiskRefusesTheEditWhole) {
  edit(1, fill({0, 0, 1, 1}, 5));
  file.pages_max = file.page_count();
  std::vector<map::Cell> cells(8192 * 8);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = map::Cell{static_cast<std::uint32_t>(i % 7)};
  std::uint64_t id = 2;
  for (; id < 2000 && out.count(Stage::rejected) == 0; ++id)
    edit(id, {map::OpKind::set,
              0,
              map::Rect::of_size(0, static_cast<std::int64_t>(id - 2) * 32 % 8192, 8192, 8),
              {},
              {},
              cells});
  ASSERT_EQ(out.count(Stage::rejected), 1u);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::overloaded);
  const Lsn before = shard->lsn();
  EXPECT_EQ(before.value, id - 2);
  file.pages_max = 1u << 20;
  edit(id, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(shard->lsn(), next(before));
}

// Its whole is decided and in a log: nothing overtakes it, and it is taken when there is space.
TEST_F(ShardTest, AFullDiskMakesAShardWaitForItsPartOfACoordinatedEdit) {
  edit(1, fill({0, 0, 1, 1}, 5));
  file.pages_max = file.page_count();
  std::vector<map::Cell> cells(8192 * 1024);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = map::Cell{static_cast<std::uint32_t>(i % 7)};
  const map::Op op{map::OpKind::set, 0, map::Rect::of_size(0, 0, 8192, 1024), {}, {}, cells};
  auto parts = split_edit(kWorld, {SessionId{1}, 0, 0, 0}, {EditId{2}, map::AckMode::durable, {&op, 1}, {}});
  EditRequest& part = *parts->front();
  part.coordinated = 10;
  shard->edit(part, out);
  ASSERT_EQ(out.outcomes.back().stage, Stage::rejected);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::overloaded);
  edit(3, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(out.outcomes.back().stage, Stage::rejected) << "it would fit, but comes later";
  file.pages_max = 1u << 20;
  shard->edit(part, out);
  EXPECT_EQ(out.outcomes.back().stage, Stage::applied);
  edit(3, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(out.outcomes.back().stage, Stage::applied);
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  EXPECT_EQ(cell(0, {1, 0}), 1u);
}

TEST_F(ShardTest, ReadOnlyRefusesWithItsReason) {
  edit(1, fill({0, 0, 1, 1}, 5));
  shard->read_only({ErrorCode::read_only, "the log failed"});
  edit(2, fill({0, 0, 1, 1}, 6));
  ASSERT_EQ(out.outcomes.back().stage, Stage::rejected);
  EXPECT_EQ(out.outcomes.back().error->message, "the log failed");
  EXPECT_EQ(cell(0, {0, 0}), 5u);
}

TEST_F(ShardTest, WhileTheLogIsFullOnlyWhatIsNewIsRefused) {
  edit(1, fill({0, 0, 1, 1}, 5));
  out.why_busy = Error{ErrorCode::overloaded, "the disk is full"};
  edit(2, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(out.outcomes.back().stage, Stage::rejected);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::overloaded);
  edit(1, fill({0, 0, 1, 1}, 5));  // sent again: it is there
  EXPECT_EQ(out.outcomes.back().stage, Stage::applied);
  out.why_busy.reset();
  edit(2, fill({0, 0, 1, 1}, 6));
  EXPECT_EQ(cell(0, {0, 0}), 6u);
}

TEST_F(ShardTest, SubscribersGetStatesThenEveryLaterEditOfTheirChunks) {
  edit(1, fill({0, 0, 1, 1}, 5));
  shard->subscribe(subscription({0, 0, 2, 2}, proto::Form::binary, 3), out);
  ASSERT_EQ(out.replies.size(), 1u);
  EXPECT_EQ(out.replies[0]->mark.lsn, Lsn{1});
  Arena arena;
  const auto chunks = chunks_of(*out.replies[0], arena);
  ASSERT_EQ(chunks.size(), 1u);  // the others were never touched
  std::array<map::Cell, map::kChunkCells> cells;
  ASSERT_TRUE(map::decode_chunk(chunks[0].coded, cells).ok());
  EXPECT_EQ(cells[0], map::Cell{5});
  EXPECT_EQ(chunks[0].revision, Lsn{1});
  edit(2, fill({200, 200, 201, 201}, 5));
  EXPECT_TRUE(out.published.empty());  // nobody looks there
  edit(3, fill({0, 0, 100, 1}, 7));
  ASSERT_EQ(out.published.size(), 1u);
  EXPECT_EQ(out.published[0].cores, CoreMask{1} << 3);
  EXPECT_TRUE(out.published[0].publication->frame[0]);
  EXPECT_FALSE(out.published[0].publication->frame[1]);  // nobody reads JSON
  shard->interest_off({key, 3, proto::Form::binary, {{0, 0}, {1, 0}, {0, 1}, {1, 1}}});
  edit(4, fill({0, 0, 1, 1}, 8));
  EXPECT_EQ(out.published.size(), 1u);
}

TEST_F(ShardTest, ACrowdIsServedFromOneEncodingOfEachChunk) {
  for (std::uint64_t id = 1; id <= 4; ++id) {
    const auto x = static_cast<std::int64_t>(id - 1) * 32;
    edit(id, fill({x, 0, x + 1, 1}, 5));
  }
  for (const proto::Form form : {proto::Form::binary, proto::Form::json})
    for (int viewer = 0; viewer < 10; ++viewer) shard->subscribe(subscription({0, 0, 4, 1}, form), out);
  EXPECT_EQ(encoded->counters().misses, 8u);
  EXPECT_EQ(encoded->counters().hits, 72u);
  EXPECT_EQ(out.replies[10]->frames[0].bytes().data(), out.replies[19]->frames[0].bytes().data())
      << "large frames are shared, not copied";
  Arena arena;
  EXPECT_EQ(chunks_of(*out.replies[0], arena).size(), 4u);
  EXPECT_EQ(chunks_of(*out.replies[9], arena).size(), 4u);

  edit(5, fill({0, 0, 1, 1}, 6));
  shard->subscribe(subscription({0, 0, 4, 1}), out);
  EXPECT_EQ(encoded->counters().misses, 9u) << "only the chunk that changed";
  std::array<map::Cell, map::kChunkCells> cells;
  for (const proto::Chunk& chunk : chunks_of(*out.replies.back(), arena)) {
    ASSERT_TRUE(map::decode_chunk(chunk.coded, cells).ok());
    EXPECT_EQ(cells[0], map::Cell{chunk.chunk.x == 0 ? 6u : 5u});
  }
}

TEST_F(ShardTest, ARefreshSendsWhatChangedFromAnLsnOnEachChunkOnce) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({32, 0, 33, 1}, 5));
  edit(3, fill({64, 0, 65, 1}, 5));
  edit(4, fill({64, 0, 65, 1}, 5, 1));
  RefreshRequest request;
  request.shard = key;
  request.ticket = 8;
  request.since = Lsn{2};
  request.areas = {{{0, 0, 2, 1}, {0, 1}}, {{1, 0, 3, 1}, {0}}};
  shard->refresh(request, out);
  ASSERT_EQ(out.replies.size(), 1u);
  EXPECT_TRUE(out.replies[0]->refresh);
  EXPECT_EQ(out.replies[0]->ticket, 8u);
  EXPECT_EQ(out.replies[0]->mark.lsn, Lsn{4});
  Arena arena;
  const auto chunks = chunks_of(*out.replies[0], arena);
  ASSERT_EQ(chunks.size(), 2u);  // not the one from before, nor the layer that nobody asked for
  EXPECT_EQ(out.replies[0]->chunks, 2u);
  EXPECT_EQ(chunks[0].chunk, (map::ChunkPos{1, 0}));
  EXPECT_EQ(chunks[1].chunk, (map::ChunkPos{2, 0}));
}

TEST_F(ShardTest, AKnownRevisionSparesTheState) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({32, 0, 33, 1}, 5));
  SubscribeRequest request = subscription({0, 0, 2, 1});
  request.known = {{0, {0, 0}, Lsn{1}}, {0, {1, 0}, Lsn{1}}, {1, {0, 0}, Lsn{0}}};
  shard->subscribe(request, out);
  Arena arena;
  const auto chunks = chunks_of(*out.replies[0], arena);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].chunk, (map::ChunkPos{1, 0}));
}

TEST_F(ShardTest, RevisionsOfALostPastAreNotBelieved) {
  edit(1, fill({0, 0, 1, 1}, 5));
  checkpoint();
  edit(2, fill({0, 0, 1, 1}, 6));    // lost with the crash
  edit(3, fill({32, 0, 33, 1}, 6));  // likewise
  start(2);
  EXPECT_EQ(shard->lsn(), Lsn{1});
  edit(9, fill({64, 0, 65, 1}, 6), {}, 2);  // another edit 2
  SubscribeRequest request = subscription({0, 0, 3, 1});
  request.incarnation = Incarnation{1};
  request.known = {{0, {0, 0}, Lsn{2}}, {0, {1, 0}, Lsn{3}}, {0, {2, 0}, Lsn{2}}};
  shard->subscribe(request, out);
  Arena arena;
  const auto chunks = chunks_of(*out.replies[0], arena);
  ASSERT_EQ(chunks.size(), 3u);  // also the one that is empty again
  const auto empty = std::ranges::find(chunks, map::ChunkPos{1, 0}, &proto::Chunk::chunk);
  ASSERT_NE(empty, chunks.end());
  EXPECT_EQ(empty->revision, Lsn{0});
  EXPECT_EQ(empty->fill, map::Cell{0});
}

TEST_F(ShardTest, ReplayGivesTheSameCellsWhereverTheCheckpointWas) {
  for (const unsigned seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    file = MemoryPageFile();
    created = false;
    out = RecordingOutput();
    start(1);
    std::vector<map::Cell> cells;
    const std::uint64_t checkpoint_at = 1 + random() % 60;
    for (std::uint64_t id = 1; id <= 60; ++id) {
      const map::Rect rect = map::Rect::of_size(random() % 300, random() % 300, 1 + random() % 90, 1 + random() % 90);
      map::Op op{static_cast<map::OpKind>(random() % 3),
                 static_cast<map::LayerId>(random() % 2),
                 rect,
                 map::Cell{static_cast<std::uint32_t>(random() % 3)},
                 map::Cell{static_cast<std::uint32_t>(random() % 3)},
                 {}};
      if (op.kind == map::OpKind::set) {
        cells.assign(rect.area(), {});
        for (map::Cell& c : cells) c.bits = static_cast<std::uint32_t>(random() % 3);
        op.cells = cells;
      }
      edit(id, op);
      if (id == checkpoint_at) checkpoint();
    }
    std::vector<std::uint32_t> before;
    for (int i = 0; i < 2 * 400 * 400; ++i)
      before.push_back(cell(static_cast<map::LayerId>(i % 2), {i / 2 % 400, i / 800}));
    start(2);
    EXPECT_EQ(shard->lsn(), Lsn{checkpoint_at});
    for (const LoggedRecord& record : out.records) ASSERT_TRUE(shard->replay(record.view()).ok());
    EXPECT_EQ(shard->lsn(), Lsn{60});
    std::vector<std::uint32_t> after;
    for (int i = 0; i < 2 * 400 * 400; ++i)
      after.push_back(cell(static_cast<map::LayerId>(i % 2), {i / 2 % 400, i / 800}));
    EXPECT_EQ(before, after);
    EXPECT_TRUE(shard->store()->verify().ok());
  }
}

TEST_F(ShardTest, AGapInTheLogIsAnError) {
  edit(1, fill({0, 0, 1, 1}, 5));
  edit(2, fill({0, 0, 1, 1}, 6));
  created = false;
  file = MemoryPageFile();
  start(2);
  EXPECT_FALSE(shard->replay(out.records[1].view()).ok());
}

TEST_F(ShardTest, RollForwardAppliesOnlyPartsThatAreMissing) {
  const map::Op op = fill({0, 0, 10, 10}, 5);
  auto parts = split_edit(kWorld, {SessionId{1}, 0, 0, 0}, {EditId{4}, map::AckMode::durable, {&op, 1}, {}});
  EditRequest& part = *parts->front();
  part.coordinated = 10;
  shard->edit(part, out);
  edit(5, fill({0, 0, 1, 1}, 6));
  ASSERT_TRUE(shard->roll_forward(part).ok());
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  part.coordinated = 11;  // the same edit, sent again after a restart under a new number
  ASSERT_TRUE(shard->roll_forward(part).ok());
  EXPECT_EQ(cell(0, {0, 0}), 6u);
  part.edit.id = EditId{6};
  ASSERT_TRUE(shard->roll_forward(part).ok());
  EXPECT_EQ(cell(0, {0, 0}), 5u);
}

}  // namespace
}  // namespace terrazzo::shard

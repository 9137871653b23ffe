#include "server/shard/coordinator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "recording_output.h"
#include "server/shard/shard_router.h"

namespace terrazzo::shard {
namespace {

constexpr auto kNothingNeeded = std::numeric_limits<std::uint64_t>::max();

std::unique_ptr<CoordinatedRequest> request(std::uint64_t id, std::uint32_t slot = 0) {
  const map::Op op{map::OpKind::fill, 0, map::Rect::of_size(-1, -1, 2, 2), map::Cell{1}, {}, {}};
  auto made = std::make_unique<CoordinatedRequest>();
  made->world = WorldId{9};
  made->origin = {SessionId{3}, slot, 0, 0};
  made->id = EditId{id};
  made->parts = *split_edit(WorldId{9}, made->origin, {made->id, map::AckMode::durable, {&op, 1}, {}});
  return made;
}

EditOutcome part(const EditRequest& forwarded, EditOutcome::Stage stage) {
  EditOutcome outcome;
  outcome.edit = forwarded.edit.id;
  outcome.coordinated = forwarded.coordinated;
  outcome.mark = {forwarded.shard.position, Lsn{1}};
  outcome.stage = stage;
  return outcome;
}

TEST(Coordinator, LogsBeforeAnyShardHearsOfTheEdit) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{2});
  coordinator.submit(request(1), out);
  ASSERT_EQ(out.records.size(), 1u);
  EXPECT_EQ(out.records[0].kind, storage::RecordKind::coordinated);
  EXPECT_TRUE(out.forwarded.empty());
  coordinator.log_durable(1, out);
  ASSERT_EQ(out.forwarded.size(), 4u);
  for (const auto& forwarded : out.forwarded) {
    EXPECT_EQ(forwarded->coordinated, out.records[0].lsn.value);
    EXPECT_EQ(forwarded->parts, 4u);
  }
  EXPECT_GT(out.records[0].lsn.value, std::uint64_t{2} << 32);
}

TEST(Coordinator, AnswersWhenAllPartsAreAppliedAndNeedsItsRecordUntilAllAreDurable) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  coordinator.submit(request(1), out);
  coordinator.log_durable(1, out);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(out.outcomes.empty());
    coordinator.part_outcome(part(*out.forwarded[i], EditOutcome::Stage::applied), out);
  }
  EXPECT_EQ(out.count(EditOutcome::Stage::durable), 4u);
  EXPECT_EQ(coordinator.oldest_needed(), 1u);
  for (std::size_t i = 0; i < 4; ++i)
    coordinator.part_outcome(part(*out.forwarded[i], EditOutcome::Stage::durable), out);
  EXPECT_EQ(coordinator.oldest_needed(), kNothingNeeded);
}

TEST(Coordinator, AnEditSentAgainGetsItsOldNumberAndIsLoggedOnce) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  coordinator.submit(request(1), out);
  coordinator.submit(request(1, 5), out);  // its author reconnected before the answer
  coordinator.log_durable(1, out);
  ASSERT_EQ(out.forwarded.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    coordinator.part_outcome(part(*out.forwarded[i], EditOutcome::Stage::applied), out);
  EXPECT_EQ(std::ranges::count(out.outcomes, 5u, [](const EditOutcome& o) { return o.origin.connection_slot; }), 4);
  for (std::size_t i = 0; i < 4; ++i)
    coordinator.part_outcome(part(*out.forwarded[i], EditOutcome::Stage::durable), out);
  coordinator.submit(request(1), out);
  EXPECT_EQ(out.records.size(), 1u);
  ASSERT_EQ(out.forwarded.size(), 8u);
  EXPECT_EQ(out.forwarded[4]->coordinated, out.forwarded[0]->coordinated);
}

// The copy from the connection before may be the later one to arrive, where its core is slower: its author, who lives
// on the other connection, waited for ever.
TEST(Coordinator, EachConnectionThatSentAnEditIsAnswered) {
  for (const auto& [first, second] : {std::pair(1u, 2u), std::pair(2u, 1u)}) {
    RecordingOutput out;
    Coordinator coordinator(WorldId{9}, Incarnation{1});
    coordinator.submit(request(1, first), out);
    coordinator.submit(request(1, second), out);
    coordinator.log_durable(1, out);
    for (std::size_t i = 0; i < 4; ++i)
      coordinator.part_outcome(part(*out.forwarded[i], EditOutcome::Stage::applied), out);
    for (const std::uint32_t slot : {1u, 2u})
      EXPECT_EQ(std::ranges::count(out.outcomes, slot, [](const EditOutcome& o) { return o.origin.connection_slot; }),
                4);
  }
}

TEST(Coordinator, ARefusedPartKeepsTheRecordForTheNextRecovery) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  coordinator.submit(request(1), out);
  coordinator.log_durable(1, out);
  for (std::size_t i = 0; i < 4; ++i) {
    EditOutcome outcome = part(*out.forwarded[i], i == 2 ? EditOutcome::Stage::rejected : EditOutcome::Stage::applied);
    if (i == 2) outcome.error = Error{ErrorCode::overloaded, "the disk is full"};
    coordinator.part_outcome(outcome, out);
  }
  ASSERT_EQ(out.count(EditOutcome::Stage::rejected), 1u);
  EXPECT_NE(out.outcomes[0].error->message.find("the disk is full"), std::string::npos);
  EXPECT_EQ(coordinator.oldest_needed(), 1u);
}

// A version that is taken now would hold a part of the edit: one that did was found by simulation.
TEST(Coordinator, TellsOfAnEditThatAShardCouldNotTakeItsPartOf) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  coordinator.submit(request(1), out);
  coordinator.log_durable(1, out);
  EXPECT_FALSE(coordinator.undone()) << "its parts are on their way";
  EditOutcome outcome = part(*out.forwarded[0], EditOutcome::Stage::rejected);
  outcome.error = Error{ErrorCode::internal, "page 368 cannot be read"};
  coordinator.part_outcome(outcome, out);
  ASSERT_TRUE(coordinator.undone());
  EXPECT_EQ(coordinator.undone()->message, "page 368 cannot be read");
}

// Whoever goes back to a version asks: an edit that is decided may still make a shard that has no file.
TEST(Coordinator, NamesTheShardsOfDecidedEditsBeforeTheirPartsAreOut) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  EXPECT_TRUE(coordinator.shards().empty());
  coordinator.submit(request(1), out);
  EXPECT_TRUE(out.forwarded.empty());
  EXPECT_EQ(coordinator.shards().size(), 4u);
}

TEST(Coordinator, TakesNothingNewWhenReadOnly) {
  RecordingOutput out;
  Coordinator coordinator(WorldId{9}, Incarnation{1});
  coordinator.read_only({ErrorCode::read_only, "why"});
  coordinator.submit(request(1), out);
  EXPECT_TRUE(out.records.empty());
  EXPECT_EQ(out.count(EditOutcome::Stage::rejected), 1u);
}

}  // namespace
}  // namespace terrazzo::shard

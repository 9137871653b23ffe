// What claims do to edits: in one shard, and over several.
#include <algorithm>

#include "server/shard/claim_table.h"
#include "server/shard/coordinator.h"
#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

constexpr UserId kAda{7}, kBob{8};

SharedClaim claim_of(UserId user, const map::Rect& rect, std::uint64_t serial = 1) {
  boost::intrusive_ptr<Claim> made(new Claim);
  made->serial = serial;
  made->session = SessionId{user.value};
  made->user = user;
  made->rect = rect;
  made->layers.set();
  return made;
}

class ClaimedEdits : public ShardTest {
 protected:
  EditOutcome paint(UserId user, std::uint64_t id, const map::Rect& rect, std::uint64_t coordinated = 0) {
    const map::Op op = fill(rect, 5);
    const Origin origin{SessionId{user.value}, 0, 0, 0, user, user};
    auto parts = split_edit(kWorld, origin, {EditId{id}, map::AckMode::durable, {&op, 1}, {}});
    EXPECT_EQ(parts->size(), 1u);
    parts->front()->coordinated = coordinated;
    shard->edit(*parts->front(), out);
    return out.outcomes.back();
  }
  const map::Rect here = map::Rect::of_size(10, 10, 5, 5);
};

TEST_F(ClaimedEdits, OfOthersAreRefusedAndChangeNothing) {  // CL-2, ED-5
  const SharedClaim claim = claim_of(kAda, here);
  shard->claims().add(claim);
  const EditOutcome refused = paint(kBob, 1, map::Rect::of_size(0, 0, 11, 11));
  EXPECT_EQ(refused.stage, Stage::rejected);
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, ErrorCode::claimed);
  EXPECT_EQ(refused.claims, std::vector<SharedClaim>{claim});
  EXPECT_EQ(shard->lsn(), Lsn{0});
  EXPECT_FALSE(created) << "an edit that is refused makes no file";
  EXPECT_TRUE(out.records.empty());
  EXPECT_EQ(paint(kBob, 2, map::Rect::of_size(0, 0, 10, 10)).stage, Stage::applied);
  EXPECT_EQ(paint(kAda, 1, here).stage, Stage::applied);
  shard->claims().remove(claim->serial);
  EXPECT_EQ(paint(kBob, 1, here).stage, Stage::applied) << "the id of an edit that was refused";
}

TEST_F(ClaimedEdits, ThatWereAppliedBeforeAreRecognised) {  // ED-7
  EXPECT_EQ(paint(kBob, 1, here).stage, Stage::applied);
  shard->claims().add(claim_of(kAda, here));
  EXPECT_EQ(paint(kBob, 1, here).stage, Stage::applied);
  EXPECT_EQ(shard->counters().duplicates, 1u);
  EXPECT_EQ(paint(kBob, 2, here).stage, Stage::rejected);
}

TEST_F(ClaimedEdits, PartsOfDecidedEditsAreTaken) {  // ED-4
  shard->claims().add(claim_of(kAda, here));
  EXPECT_EQ(paint(kBob, 1, here, 77).stage, Stage::applied);
}

TEST_F(ClaimedEdits, GoingBackCountsAsSomebodyElses) {
  EXPECT_EQ(paint(kAda, 1, here).stage, Stage::applied);
  shard->take_version(1);
  shard->claims().add(claim_of(kAda, here));
  restore(2, {storage::PinKind::version, 1, {{0, map::Rect::of_size(0, 0, 8192, 8192)}}});
  ASSERT_TRUE(out.outcomes.back().error.has_value());
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::claimed);
}

TEST_F(ClaimedEdits, AShardThatMovesTakesItsClaimsAlong) {
  EXPECT_EQ(paint(kBob, 1, here).stage, Stage::applied);
  shard->claims().add(claim_of(kAda, here));
  shard->log_durable(out.records.size(), out);
  proto::Encoder other;
  shard->settle(other, *encoded, {});
  EXPECT_EQ(paint(kBob, 2, here).stage, Stage::rejected);
  shard->settle(encoder, *encoded, {});
}

TEST(ClaimedOverShards, IsRefusedBeforeItIsLoggedUnlessItWasDecidedBefore) {  // CL-2, CL-3
  RecordingOutput out;
  Coordinator coordinator(kWorld, Incarnation{1});
  ClaimTable claims;
  const auto submit = [&](UserId user, std::uint64_t id) {
    const map::Op op{map::OpKind::fill, 0, map::Rect::of_size(-1, -1, 2, 2), map::Cell{1}, {}, {}};
    auto request = std::make_unique<CoordinatedRequest>();
    request->world = kWorld;
    request->origin = {SessionId{user.value}, 0, 0, 0, user, user};
    request->id = EditId{id};
    request->parts = *split_edit(kWorld, request->origin, {request->id, map::AckMode::durable, {&op, 1}, {}});
    coordinator.submit(std::move(request), out, &claims);
  };
  submit(kBob, 1);
  ASSERT_EQ(out.records.size(), 1u);
  EXPECT_EQ(coordinator.newest(), out.records[0].lsn.value);
  EXPECT_EQ(coordinator.oldest_unsent(), out.records[0].lsn.value);
  const SharedClaim claim = claim_of(kAda, map::Rect::of_size(0, 0, 1, 1));
  claims.add(claim);
  submit(kBob, 1);  // again: it is decided
  EXPECT_TRUE(out.outcomes.empty());
  submit(kBob, 2);
  ASSERT_EQ(out.outcomes.size(), 1u);
  EXPECT_EQ(out.outcomes[0].error->code, ErrorCode::claimed);
  EXPECT_EQ(out.outcomes[0].claims, std::vector<SharedClaim>{claim});
  EXPECT_EQ(out.records.size(), 1u);
  submit(kAda, 1);
  EXPECT_EQ(out.records.size(), 2u);
  coordinator.log_durable(1, out);
  EXPECT_EQ(coordinator.oldest_unsent(), out.records[1].lsn.value);
  coordinator.log_durable(2, out);
  EXPECT_EQ(coordinator.oldest_unsent(), ~std::uint64_t{0});
}

}  // namespace
}  // namespace terrazzo::shard

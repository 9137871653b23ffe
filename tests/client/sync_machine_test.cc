// The client's side of the protocol, message by message, without a network.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

TEST_F(SyncMachineTest, GoesFromHelloToLiveAndSubscribesOnlyThen) {
  EXPECT_FALSE(machine.subscribe(map::Rect::of_size(0, 0, 1, 1), {}).ok());
  go_live();
  EXPECT_EQ(shown(0), 999u);  // nothing is known yet
  subscribe();
  EXPECT_EQ(shown(0), 0u);
  EXPECT_EQ(out.count<SubscriptionReady>(), 1u);
}

TEST_F(SyncMachineTest, AnOwnEditIsShownAtOnceAndStaysUntilTheServerHasIt) {
  go_live();
  subscribe();
  const EditId edit = paint(3, 7);
  EXPECT_EQ(shown(3), 7u);
  EXPECT_EQ(confirmed(3), 0u);
  applied(1, 77, EditId{1}, 3, 5);  // somebody else was first: ours will come after it
  EXPECT_EQ(shown(3), 7u);
  EXPECT_EQ(confirmed(3), 5u);
  applied(2, 9, edit, 3, 7);
  EXPECT_EQ(confirmed(3), 7u);
  EXPECT_EQ(out.count<EditApplied>(), 1u);
  applied(3, 77, EditId{2}, 3, 6);  // later edits show through
  EXPECT_EQ(shown(3), 6u);
  ack(edit, {{{0, 0}, Lsn{2}}}, true);
  EXPECT_TRUE(machine.held().is_durable(edit));
  EXPECT_TRUE(machine.held().table().empty());
}

// A client that had fallen behind is sent the state of what it asked for before that is answered, and perhaps it never
// is. Edits that come meanwhile because they touch its other views, too, must not make the state look newer than it is:
// one before them, which touched this chunk only, was sent to nobody. (Found by ./dev sim --seed 737.)
TEST_F(SyncMachineTest, AStateThatCameBeforeTheAnswerIsKnownAsOfItselfOnly) {
  go_live();
  subscribe();
  const SubscriptionId asked = *machine.subscribe(map::Rect::of_size(96, 0, 32, 32), {});
  const auto chunk = [&](std::uint64_t revision, std::uint32_t tile) {
    proto::Chunk message;
    message.layer = kLayer;
    message.chunk = {3, 0};
    message.revision = Lsn{revision};
    message.fill = map::Cell{tile};
    machine.received(message, 1000);
  };
  chunk(5, 1);
  const auto wide = [&](std::uint64_t lsn, std::uint32_t tile) {
    const map::Op op{map::OpKind::fill, kLayer, map::Rect::of_size(40, 0, 70, 1), map::Cell{tile}, {}, {}};
    machine.received(proto::Applied{{0, 0}, Lsn{lsn}, SessionId{77}, EditId{lsn}, {&op, 1}}, 1000);
  };
  wide(7, 9);
  EXPECT_EQ(confirmed(40), 9u);
  lose();
  welcome();
  machine.received(proto::WorldInfo{kWorld}, 1000);
  ASSERT_EQ(out.known.size(), 1u) << "the last view that is asked for again";
  EXPECT_EQ(out.known[0].revision, Lsn{5});
  // Where the answer comes, what came before it is shown with it.
  chunk(8, 2);
  wide(9, 4);
  subscribed(asked, 8);
  EXPECT_EQ(confirmed(96), 4u);
  EXPECT_EQ(confirmed(120), 2u);
}

TEST_F(SyncMachineTest, ARejectedEditRollsBackWithItsReason) {
  go_live();
  subscribe();
  const EditId edit = paint(3, 7);
  machine.received(proto::Reject{edit, ErrorCode::forbidden, "no", {}, {}}, 1000);
  EXPECT_EQ(shown(3), 0u);
  EXPECT_EQ(out.count<EditRejected>(), 1u);
  EXPECT_EQ(machine.held().rejection(edit)->message, "no");
  EXPECT_FALSE(machine.held().is_durable(edit));
}

TEST_F(SyncMachineTest, WrongEditsNeverLeave) {
  go_live();
  EXPECT_EQ(machine.edit(EditDraft().set(9, {0, 0}, map::Cell{1}), {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(machine.edit(EditDraft().set(kLayer, {0, 0}, map::Cell{51}), {}).error().code, ErrorCode::out_of_bounds);
  EXPECT_TRUE(out.edits.empty());
}

TEST_F(SyncMachineTest, AnAnswerOverSeveralShardsIsNoDurableMarkOfTheirs) {
  go_live();
  subscribe();
  const EditId wide = *machine.edit(EditDraft().fill(kLayer, map::Rect::of_size(-1, 0, 2, 1), map::Cell{4}), {});
  const EditId own = paint(3, 7, map::AckMode::applied);
  applied(8, 9, own, 3, 7);
  ack(own, {{{0, 0}, Lsn{8}}}, false);
  // The wide edit's place in this shard is behind ours, and it is durable: ours still need not be.
  ack(wide, {{{-1, 0}, Lsn{3}}, {{0, 0}, Lsn{9}}}, true);
  EXPECT_TRUE(machine.held().is_durable(wide));
  EXPECT_FALSE(machine.held().is_durable(own));
  machine.received(proto::Durable{{0, 0}, Lsn{8}}, 1000);
  EXPECT_TRUE(machine.held().is_durable(own));
}

TEST_F(SyncMachineTest, AfterALostConnectionHeldEditsAreSentAgainUnderTheirIds) {
  go_live();
  subscribe();
  const EditId first = paint(1, 7), second = paint(2, 7);
  applied(1, 9, first, 1, 7);
  ack(first, {{{0, 0}, Lsn{1}}}, true);
  lose();
  const EditId third = paint(3, 7);  // made while away
  out.edits.clear();
  welcome(9, 1, true);
  EXPECT_EQ(out.resumes, "token");
  machine.received(proto::WorldInfo{kWorld}, 1000);
  EXPECT_EQ(out.edits, (std::vector<std::uint64_t>{second.value, third.value}));
  EXPECT_EQ(shown(2), 7u);
}

TEST_F(SyncMachineTest, AfterARestartOnlyDurableRevisionsAreNamed) {
  go_live();
  const SubscriptionId view = subscribe();
  applied(1, 77, EditId{1}, 0, 5);   // chunk 0
  applied(2, 77, EditId{2}, 40, 5);  // chunk 1
  machine.received(proto::Durable{{0, 0}, Lsn{1}}, 1000);
  lose();
  welcome(9, 2, true);
  machine.received(proto::WorldInfo{kWorld}, 1000);
  ASSERT_EQ(out.known.size(), 1u);
  EXPECT_EQ(out.known[0].chunk, (map::ChunkPos{0, 0}));
  EXPECT_EQ(out.known[0].revision, Lsn{1});
  // The server lost edit 2: it says so by the state of chunk 1.
  proto::Chunk empty;
  empty.layer = kLayer;
  empty.chunk = {1, 0};
  empty.fill = map::Cell{0};
  machine.received(empty, 1000);
  subscribed(view, 1);
  EXPECT_EQ(confirmed(0), 5u);
  EXPECT_EQ(confirmed(40), 0u);
}

TEST_F(SyncMachineTest, OfAnotherWorldUnderTheSameNameNothingIsKnown) {
  go_live();
  const SubscriptionId view = subscribe();
  applied(1, 77, EditId{1}, 0, 5);
  machine.received(proto::Durable{{0, 0}, Lsn{1}}, 1000);
  const EditId own = paint(1, 6);
  lose();
  welcome(9, 1, true);
  out.edits.clear();
  std::string other = kWorld;
  other.replace(other.find("\"5\""), 3, "\"6\"");
  machine.received(proto::WorldInfo{other}, 1000);
  EXPECT_TRUE(out.known.empty()) << "revisions count in each world by themselves";
  EXPECT_TRUE(out.edits.empty());
  EXPECT_EQ(out.count<EditRejected>(), 1u) << "it was made for what is gone";
  EXPECT_EQ(machine.held().rejection(own)->code, ErrorCode::conflict);
  subscribed(view, 0);  // nothing was ever written there
  EXPECT_EQ(shown(0), 0u);
  EXPECT_EQ(shown(1), 0u);
}

TEST_F(SyncMachineTest, ALostSessionRejectsWhatWasSentAndKeepsWhatWasNot) {
  go_live();
  const EditId sent = paint(1, 7);
  lose();
  const EditId kept = paint(2, 7);
  out.edits.clear();
  welcome(10, 2);  // another session
  machine.received(proto::WorldInfo{kWorld}, 1000);
  ASSERT_TRUE(machine.held().rejection(sent));
  EXPECT_EQ(machine.held().rejection(sent)->code, ErrorCode::conflict);
  EXPECT_EQ(out.edits, std::vector<std::uint64_t>{kept.value});
}

TEST_F(SyncMachineTest, ARefusedTokenEndsAndARefusedSessionTriesAnew) {
  machine.connecting();
  machine.connected(1);
  machine.received(proto::ErrorMessage{ErrorCode::unauthenticated, "no such token", {}}, 1);
  machine.disconnected(1008, "unauthenticated");
  EXPECT_EQ(machine.state(), State::failed);
  go_live();
  lose();
  machine.connecting();
  machine.connected(2);
  machine.received(proto::ErrorMessage{ErrorCode::unauthenticated, "not a session of this node", {}}, 2);
  machine.disconnected(1008, "unauthenticated");
  EXPECT_EQ(machine.state(), State::waiting);
  EXPECT_EQ(machine.retry_in_ms(), 0u);
  machine.connecting();
  machine.connected(3);
  EXPECT_EQ(out.resumes, "");
}

TEST_F(SyncMachineTest, EditsThatComeBeforeTheStateWaitForIt) {
  go_live();
  const SubscriptionId view = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
  applied(4, 77, EditId{1}, 0, 5);
  EXPECT_EQ(shown(0), 999u);
  subscribed(view, 3);  // the state as of 3 was empty; 4 came after it
  EXPECT_EQ(shown(0), 5u);
}

TEST_F(SyncMachineTest, NoMoreEditsAreOnTheirWayThanTheServerAllows) {
  ASSERT_TRUE(machine.open("w").ok());
  machine.connecting();
  machine.connected(1000);
  proto::Welcome message;
  message.session = SessionId{9};
  message.incarnation = Incarnation{1};
  message.limits = {1 << 20, 65536, 256, 2, 16384, 64};
  machine.received(message, 1000);
  machine.received(proto::WorldInfo{kWorld}, 1000);
  for (int i = 0; i < 5; ++i) paint(i, 7);
  EXPECT_EQ(out.edits.size(), 2u);
  ack(EditId{1}, {{{0, 0}, Lsn{1}}}, true);
  EXPECT_EQ(out.edits.size(), 3u);
  out.is_writable = false;
  ack(EditId{2}, {{{0, 0}, Lsn{2}}}, true);
  EXPECT_EQ(out.edits.size(), 3u);
  out.is_writable = true;
  machine.writable_again();
  EXPECT_EQ(out.edits.size(), 4u);
}

TEST_F(SyncMachineTest, AnOwnEditOfAStaleShardIsShownUntilTheStatesHaveIt) {  // BP-3
  go_live();
  subscribe();
  const EditId edit = paint(3, 7, map::AckMode::applied);
  machine.received(proto::Stale{{0, 0}, Lsn{4}}, 1000);
  EXPECT_EQ(out.count<FellBehind>(), 1u);
  ack(edit, {{{0, 0}, Lsn{5}}}, false);
  // Another view of the shard names a later LSN; the chunk with the edit in it has not come yet.
  const SubscriptionId other = *machine.subscribe(map::Rect::of_size(320, 0, 32, 32), {});
  subscribed(other, 9);
  EXPECT_EQ(shown(3), 7u);
  EXPECT_EQ(confirmed(3), 0u);
  machine.received(
      proto::Chunk{
          .layer = kLayer, .chunk = {0, 0}, .revision = Lsn{8}, .fill = map::Cell{6}, .coded = {}, .cells = {}},
      1000);
  machine.received(proto::Refreshed{{0, 0}, Lsn{9}}, 1000);
  EXPECT_EQ(out.count<CaughtUp>(), 1u);
  EXPECT_EQ(shown(3), 6u) << "somebody painted over it later";
  applied(10, 77, EditId{1}, 3, 5);
  EXPECT_EQ(shown(3), 5u);
}

TEST_F(SyncMachineTest, AnOwnEditFromBeforeTheShardWasStaleIsNotHeldBack) {  // BP-3
  go_live();
  subscribe();
  const EditId edit = paint(3, 7, map::AckMode::applied);
  applied(2, 77, EditId{8}, 3, 7);
  machine.received(proto::Stale{{0, 0}, Lsn{3}}, 1000);
  ack(edit, {{{0, 0}, Lsn{1}}}, false);
  EXPECT_EQ(shown(3), confirmed(3));
  EXPECT_FALSE(machine.held().table().at(edit).shown());
}

TEST_F(SyncMachineTest, AnEditSentAgainIsShownUntilTheStreamHasPassedWhateverItsAnswerSays) {
  go_live();
  const SubscriptionId view = subscribe();
  const EditId own = paint(3, 7);
  lose();
  welcome(9, 1, true);
  machine.received(proto::WorldInfo{kWorld}, 1000);
  subscribed(view, 5);
  // A shard that had it long since names where it is now, behind edits that this view does not show.
  ack(own, {{{0, 0}, Lsn{8}}}, true);
  EXPECT_EQ(machine.held().table().size(), 1u);
  machine.received(proto::Durable{{0, 0}, Lsn{8}}, 1000);
  EXPECT_TRUE(machine.held().table().empty());
}

TEST_F(SyncMachineTest, AViewThatMovesAwayLetsGoOfEditsNobodyWillCallDurable) {
  go_live();
  const SubscriptionId view = subscribe();
  const EditId own = paint(3, 7, map::AckMode::applied);
  applied(1, 9, own, 3, 7);
  ack(own, {{{0, 0}, Lsn{1}}}, false);
  EXPECT_EQ(machine.held().table().size(), 1u);
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(9000, 0, 64, 32)).ok());
  const proto::ShardMark mark{{1, 0}, Lsn{}};
  machine.received(proto::Subscribed{view.value, {&mark, 1}}, 1000);
  EXPECT_TRUE(machine.held().table().empty());
}

TEST_F(SyncMachineTest, OvertakenByAnOlderConnectionOfItsOwnItComesBack) {  // RS-4
  go_live();
  machine.received(proto::ErrorMessage{ErrorCode::conflict, "this session was resumed by another connection", {}},
                   1000);
  machine.disconnected(1008, "conflict");
  EXPECT_EQ(machine.state(), State::waiting);
}

TEST_F(SyncMachineTest, SilenceIsAskedAboutAndThenGivenUp) {
  go_live();
  const ConnectOptions defaults;
  const std::size_t sent = out.sent.size();
  EXPECT_FALSE(machine.tick(1000 + defaults.ping_interval_ms * 1000ull + 1));
  EXPECT_EQ(out.sent.size(), sent + 1);
  EXPECT_TRUE(machine.tick(1000 + defaults.silence_max_ms * 1000ull + 1));
}

// ---- presence ----

TEST_F(SyncMachineTest, OwnPresenceGoesOutThirtyTimesASecondAtMost) {
  go_live();
  EXPECT_FALSE(machine.presence_due_us());
  std::uint64_t now = 1'000'000;
  for (int x = 0; x < 1000; ++x, now += 1000) {
    Presence presence;
    presence.cursor = map::CellPos{x, 0};
    machine.set_presence(presence, now);
    if (const auto due = machine.presence_due_us(); due && *due <= now) machine.tick_presence(now);
  }
  EXPECT_EQ(out.cursors.front(), 0);  // the first at once
  EXPECT_GE(out.cursors.size(), 29u);
  EXPECT_LE(out.cursors.size(), 31u);
  // The last one is not lost.
  ASSERT_TRUE(machine.presence_due_us());
  machine.tick_presence(*machine.presence_due_us());
  EXPECT_EQ(out.cursors.back(), 999);
  EXPECT_FALSE(machine.presence_due_us());
}

TEST_F(SyncMachineTest, WhomItFollowsOutlivesTheConnection) {
  machine.follow(SessionId{7});
  EXPECT_TRUE(out.followed.empty());
  go_live();
  EXPECT_EQ(out.followed, std::vector<std::uint64_t>{7});
  machine.follow(SessionId{7});  // as it is
  machine.follow(SessionId{8});
  EXPECT_EQ(out.followed, (std::vector<std::uint64_t>{7, 8}));
  machine.disconnected(1006, "");
  go_live();
  EXPECT_EQ(out.followed, (std::vector<std::uint64_t>{7, 8, 8}));
  machine.follow(SessionId{});
  EXPECT_EQ(out.followed, (std::vector<std::uint64_t>{7, 8, 8, 0}));
}

TEST_F(SyncMachineTest, OwnPresenceWaitsForAConnectionThatTakesIt) {
  Presence presence;
  presence.cursor = map::CellPos{1, 0};
  machine.set_presence(presence, 5);
  EXPECT_TRUE(out.cursors.empty());
  go_live();
  EXPECT_EQ(out.cursors, std::vector{1});
  out.is_writable = false;
  presence.cursor = map::CellPos{2, 0};
  machine.set_presence(presence, 1'000'000);
  presence.cursor = map::CellPos{3, 0};
  machine.set_presence(presence, 2'000'000);
  EXPECT_EQ(out.cursors, std::vector{1});
  out.is_writable = true;
  machine.tick_presence(3'000'000);
  EXPECT_EQ(out.cursors, (std::vector{1, 3}));
  // A new connection is told again.
  lose();
  welcome(9, 1, true);
  machine.received(proto::WorldInfo{kWorld}, 4'000'000);
  EXPECT_EQ(out.cursors, (std::vector{1, 3, 3}));
}

TEST_F(SyncMachineTest, PresenceOfOthersIsAnEvent) {
  go_live();
  proto::PresenceOf message{.session = SessionId{4}, .name = "Bob", .color = 0x112233, .presence = {}};
  message.presence.cursor = map::CellPos{5, 6};
  machine.received(message, 1000);
  EXPECT_EQ(out.count<PeerChanged>(), 1u);
  ASSERT_EQ(machine.peers().count(SessionId{4}), 1u);
  EXPECT_EQ(machine.peers().at(SessionId{4}).presence.cursor, (map::CellPos{5, 6}));
  EXPECT_EQ(machine.peers().at(SessionId{4}).color, 0x112233u);
  machine.received(proto::Left{SessionId{4}}, 1000);
  EXPECT_EQ(out.count<PeerLeft>(), 1u);
  EXPECT_TRUE(machine.peers().empty());
}

// ---- claims ----

proto::Claimed claimed(std::uint64_t session, ClaimId claim, std::uint32_t ttl_ms, const map::Rect& rect) {
  return {{SessionId{session}, claim, "Ada", rect, {}}, ttl_ms};
}
const map::Rect kClaimed = map::Rect::of_size(3, 3, 4, 4);

TEST_F(SyncMachineTest, AClaimIsRenewedAndAskedForAgainOnTheNextConnection) {
  EXPECT_FALSE(machine.claim(kClaimed, {}, std::chrono::minutes(1)).ok()) << "no world is open";
  go_live();
  const ClaimId claim = *machine.claim(kClaimed, {}, std::chrono::seconds(30));
  EXPECT_EQ(out.claimed, (std::vector<std::uint32_t>{claim.value}));
  EXPECT_FALSE(machine.claims().holds(claim));
  machine.received(claimed(9, claim, 30'000, kClaimed), 1'000'000);
  EXPECT_TRUE(machine.claims().holds(claim));
  machine.tick(10'999'999);
  EXPECT_EQ(out.claimed.size(), 1u);
  machine.tick(11'000'000);  // a third of 30 s later
  machine.tick(11'500'000);  // the answer is on its way
  EXPECT_EQ(out.claimed.size(), 2u);
  machine.received(claimed(9, claim, 30'000, kClaimed), 12'000'000);
  EXPECT_EQ(out.count<ClaimHeld>(), 1u) << "a renewal is no news";
  lose();
  EXPECT_FALSE(machine.claims().holds(claim));
  machine.tick(100'000'000);
  welcome(9, 2, true);
  machine.received(proto::WorldInfo{kWorld}, 100'000'000);
  EXPECT_EQ(out.claimed.size(), 3u) << "the new run of the server knows nothing of it";
  machine.received(claimed(9, claim, 30'000, kClaimed), 100'000'000);
  EXPECT_EQ(out.count<ClaimHeld>(), 2u);
  machine.release(claim);
  EXPECT_EQ(out.released, std::vector<std::uint32_t>{claim.value});
  machine.received(proto::Released{SessionId{9}, claim, proto::ReleaseReason::released}, 101'000'000);
  EXPECT_EQ(out.count<ClaimEnded>(), 0u) << "the program knows";
  machine.tick(500'000'000);
  EXPECT_EQ(out.claimed.size(), 3u);
}

TEST_F(SyncMachineTest, AClaimThatEndsOrIsRefusedIsToldAndForgotten) {
  go_live();
  const ClaimId first = *machine.claim(kClaimed, {}, std::chrono::seconds(30));
  machine.received(claimed(9, first, 30'000, kClaimed), 1000);
  const auto refuse = [&](ClaimId claim, ErrorCode code) {
    const proto::ClaimOf holder{SessionId{77}, ClaimId{5}, "Bob", kClaimed, {}};
    machine.received(proto::Reject{{}, code, "no", claim, {&holder, 1}}, 2000);
  };
  refuse(first, ErrorCode::overloaded);  // a renewal, which comes again
  EXPECT_TRUE(machine.claims().holds(first));
  machine.tick(2'000'000);
  EXPECT_EQ(out.claimed.size(), 2u);
  machine.received(proto::Released{SessionId{9}, first, proto::ReleaseReason::broken}, 3000);
  ASSERT_EQ(out.count<ClaimEnded>(), 1u);
  const ClaimId second = *machine.claim(kClaimed, {}, std::chrono::seconds(30));
  EXPECT_NE(second, first);
  refuse(second, ErrorCode::claimed);
  ASSERT_EQ(out.count<ClaimRejected>(), 1u);
  for (const Event& event : out.events) {
    if (const auto* rejected = std::get_if<ClaimRejected>(&event)) {
      EXPECT_EQ(rejected->error.code, ErrorCode::claimed);
      ASSERT_EQ(rejected->conflicts.size(), 1u);
      EXPECT_EQ(rejected->conflicts[0].name, "Bob");
    }
    if (const auto* ended = std::get_if<ClaimEnded>(&event)) {
      EXPECT_EQ(ended->reason, ReleaseReason::broken);
    }
  }
  lose();
  welcome(9, 1, true);
  machine.received(proto::WorldInfo{kWorld}, 1000);
  EXPECT_EQ(out.claimed.size(), 3u) << "neither is asked for again";
}

TEST_F(SyncMachineTest, ClaimsOfOthersAreKnownWhileAViewShowsThem) {  // CL-8
  go_live();
  const SubscriptionId view = subscribe();
  machine.received(claimed(77, ClaimId{1}, 1000, kClaimed), 1000);
  machine.received(claimed(77, ClaimId{2}, 1000, kClaimed), 1000);
  machine.received(claimed(77, ClaimId{2}, 1000, kClaimed), 1000);
  ASSERT_EQ(machine.claims().claims().size(), 2u);
  EXPECT_EQ(out.count<ClaimsChanged>(), 2u);
  machine.received(proto::Released{SessionId{77}, ClaimId{1}, proto::ReleaseReason::expired}, 1000);
  ASSERT_EQ(machine.claims().claims().size(), 1u);
  EXPECT_EQ(machine.claims().claims()[0].claim, ClaimId{2});
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(6400, 0, 32, 32)).ok());
  EXPECT_EQ(machine.claims().claims().size(), 1u) << "the old view is in force still";
  subscribed(view, 0);
  EXPECT_TRUE(machine.claims().claims().empty());
  machine.received(claimed(77, ClaimId{3}, 1000, map::Rect::of_size(6400, 0, 1, 1)), 1000);
  EXPECT_EQ(machine.claims().claims().size(), 1u);
  machine.unsubscribe(view);
  EXPECT_TRUE(machine.claims().claims().empty());
}

TEST_F(SyncMachineTest, AnEditThatIsRejectedAsClaimedSaysByWhom) {
  go_live();
  const EditId edit = paint(3, 7);
  const proto::ClaimOf holder{SessionId{77}, ClaimId{5}, "Bob", kClaimed, {}};
  machine.received(proto::Reject{edit, ErrorCode::claimed, "no", {}, {&holder, 1}}, 1000);
  const auto found =
      std::ranges::find_if(out.events, [](const Event& e) { return std::holds_alternative<EditRejected>(e); });
  ASSERT_NE(found, out.events.end());
  const auto& rejected = std::get<EditRejected>(*found);
  EXPECT_EQ(rejected.error.code, ErrorCode::claimed);
  ASSERT_EQ(rejected.conflicts.size(), 1u);
  EXPECT_EQ(rejected.conflicts[0].rect, kClaimed);
}

}  // namespace
}  // namespace terrazzo::client

// CL of PROTOCOL.md, as far as it is a home core's.
#include "home_test.h"

namespace terrazzo::session {
namespace {

using Kind = shard::ClaimRequest::Kind;

class ClaimTest : public HomeTest {
 protected:
  void claim(Connection connection, std::uint32_t number = 1) {
    say(connection, json{{"type", "claim"}, {"claim", number}, {"rect", {0, 0, 10, 10}}}.dump());
  }
  // What desks were asked, without looks of those who subscribe; taken away.
  std::vector<std::unique_ptr<shard::ClaimRequest>> asked() {
    std::vector<std::unique_ptr<shard::ClaimRequest>> all = std::exchange(out.claims, {});
    std::erase_if(all, [](const auto& request) { return request->kind == Kind::look; });
    return all;
  }
  static shard::SharedClaim claim_of(SessionId session, const map::Rect& rect, std::uint32_t number = 1) {
    boost::intrusive_ptr<shard::Claim> made(new shard::Claim);
    made->session = session;
    made->number = ClaimId{number};
    made->name = "Ada";
    made->rect = rect;
    made->layers.set();
    return made;
  }
  static shard::SharedClaimNote note(shard::SharedClaim of, bool over = false, SessionId asked = {}) {
    boost::intrusive_ptr<shard::ClaimNote> made(new shard::ClaimNote);
    made->world = kIsland;
    made->claim = std::move(of);
    made->over = over;
    made->reason = proto::ReleaseReason::expired;
    made->ttl_ms = 500;
    made->asked = asked;
    return made;
  }
  const map::Rect here = map::Rect::of_size(0, 0, 10, 10);
};

TEST_F(ClaimTest, GoesToTheDeskWithWhoAsksForWhat) {  // CL-1
  const Connection ada = enter();
  say(ada, R"({"type":"claim","claim":3,"rect":[-5,-5,10,10],"layers":[1,2],"ttl_ms":700})");
  const auto requests = asked();
  ASSERT_EQ(requests.size(), 1u);
  const shard::ClaimRequest& request = *requests[0];
  EXPECT_EQ(request.kind, Kind::claim);
  EXPECT_EQ(request.world, kIsland);
  EXPECT_EQ(request.origin.session, SessionId{1001});
  EXPECT_EQ(request.origin.claimant, UserId{1001}) << "nobody said who it is: the session is somebody";
  EXPECT_EQ(request.number, ClaimId{3});
  EXPECT_EQ(request.name, "ada");
  EXPECT_EQ(request.rect, map::Rect::of_size(-5, -5, 10, 10));
  EXPECT_EQ(request.layers, (std::vector<map::LayerId>{1, 2}));
  EXPECT_EQ(request.ttl_ms, 700u);
  EXPECT_TRUE(told(ada).empty());
}

TEST_F(ClaimTest, WhatIsWrongIsRejectedByItsNumber) {  // CL-1
  auto small = island();
  small->bounds = map::Rect::of_size(0, 0, 100, 100);
  directory.world = small;
  const Connection ada = enter(), eve = enter("eve"), lobby = connect();
  const auto rejected = [&](Connection connection, std::string_view text) {
    say(connection, text);
    const std::vector<json> messages = told(connection);
    if (messages.size() != 1 || messages[0]["type"] != "reject") return json(messages).dump();
    EXPECT_EQ(messages[0]["claim"].get<int>(), text.find("\"claim\":0") == std::string_view::npos ? 4 : 0);
    return messages[0]["code"].get<std::string>();
  };
  EXPECT_EQ(rejected(eve, R"({"type":"claim","claim":4,"rect":[0,0,1,1]})"), "forbidden");
  EXPECT_EQ(rejected(ada, R"({"type":"claim","claim":4,"rect":[0,0,1,1],"layers":[9]})"), "not_found");
  EXPECT_EQ(rejected(ada, R"({"type":"claim","claim":4,"rect":[99,0,2,1]})"), "out_of_bounds");
  say(ada, R"({"type":"claim","claim":0,"rect":[0,0,1,1]})");
  EXPECT_EQ(code(ada), "bad_message");
  say(lobby, R"({"type":"claim","claim":4,"rect":[0,0,1,1]})");
  EXPECT_EQ(code(lobby), "bad_message");
  say(ada, R"({"type":"release","claim":4,"session":"5"})");
  EXPECT_EQ(code(ada), "forbidden");
  EXPECT_TRUE(asked().empty());
  EXPECT_EQ(home.counters().claim_rejects_by_code[static_cast<std::size_t>(ErrorCode::forbidden)], 1u);
}

TEST_F(ClaimTest, AnswersGoToWhoAskedAndNameTheHolders) {  // CL-4, CL-6
  const Connection ada = enter(), bob = enter("bob");
  claim(ada, 2);
  const auto requests = asked();
  ASSERT_EQ(requests.size(), 1u);
  shard::ClaimAnswer answer{requests[0]->origin, ClaimId{2}, Error{ErrorCode::claimed, "somebody has it"}};
  for (std::uint32_t i = 0; i < 20; ++i) answer.claims.push_back(claim_of(SessionId{77}, here, i));
  home.claim_answer(answer);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0]["type"], "reject");
  EXPECT_EQ(messages[0]["claim"], 2);
  EXPECT_EQ(messages[0]["conflicts"].size(), shard::ClaimLimits::kConflictsNamed);
  EXPECT_EQ(messages[0]["conflicts"][0]["session"], "77");
  EXPECT_TRUE(told(bob).empty());
  answer.of_release = true;
  home.claim_answer(answer);
  EXPECT_EQ(types(ada), Words{"error"});
}

TEST_F(ClaimTest, AnEditThatIsRejectedNamesTheHoldersToo) {
  const Connection ada = enter();
  edit(ada, 1);
  ASSERT_EQ(out.edits.size(), 1u);
  shard::EditOutcome outcome;
  outcome.origin = out.edits[0]->origin;
  outcome.edit = EditId{1};
  outcome.stage = shard::EditOutcome::Stage::rejected;
  outcome.claims.push_back(claim_of(SessionId{77}, here));
  outcome.error = shard::claimed_error(outcome.claims);
  home.outcome(outcome);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0]["code"], "claimed");
  EXPECT_EQ(messages[0]["id"], 1);
  ASSERT_EQ(messages[0]["conflicts"].size(), 1u);
  EXPECT_EQ(messages[0]["conflicts"][0]["rect"], (json{0, 0, 10, 10}));
}

TEST_F(ClaimTest, IsHeardWhereItIsByItsSessionAndByWhoAsked) {  // CL-7, CL-8
  const Connection there = watcher(chunks(0, 0, 1, 1), "bob"), elsewhere = watcher(chunks(5, 5, 1, 1), "bob");
  const Connection holder = enter(), breaker = enter("bob");
  for (const map::Rect& rect : {here, map::Rect::of_size(0, 0, 32 * 20, 32)}) {  // few chunks, and many
    home.claim_note(note(claim_of(SessionId{1003}, rect)));
    EXPECT_EQ(types(there), Words{"claimed"});
    EXPECT_EQ(types(holder), Words{"claimed"});
    EXPECT_TRUE(types(elsewhere).empty());
    EXPECT_TRUE(types(breaker).empty());
    home.claim_note(note(claim_of(SessionId{1003}, rect), true, SessionId{1004}));
    EXPECT_EQ(types(there), Words{"released"});
    EXPECT_EQ(types(holder), Words{"released"});
    EXPECT_EQ(types(breaker), Words{"released"});
    EXPECT_TRUE(types(elsewhere).empty());
  }
}

TEST_F(ClaimTest, WhoSubscribesAsksForWhatItDoesNotKnow) {  // CL-8
  const Connection ada = enter();
  subscribe(ada, 1, chunks(0, 0, 2, 1));
  EXPECT_TRUE(out.claims.empty()) << "not before it hears of what comes later";
  answer_all();
  ASSERT_EQ(out.claims.size(), 1u);
  EXPECT_EQ(out.claims[0]->area, (map::Rect{0, 0, 2, 1}));
  EXPECT_TRUE(out.claims[0]->known.empty());
  subscribe(ada, 1, chunks(1, 0, 2, 1));
  answer_all();
  ASSERT_EQ(out.claims.size(), 2u);
  EXPECT_EQ(out.claims[1]->known, (map::Rect{0, 0, 2, 1}));
  (void)told(ada);
  shard::ClaimAnswer answer{out.claims[1]->origin, {}, {}};
  answer.standing = {note(claim_of(SessionId{77}, here))};
  home.claim_answer(answer);
  EXPECT_EQ(types(ada), Words{"claimed"});
}

TEST_F(ClaimTest, ALostConnectionIsToldToTheDeskWhereClaimsMayBe) {  // CL-7
  const Connection ada = enter(), bob = enter("bob");
  claim(ada);
  (void)asked();
  home.disconnected(bob);
  EXPECT_TRUE(asked().empty());
  home.disconnected(ada);
  const auto lost = asked();
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0]->kind, Kind::lost);
  EXPECT_EQ(lost[0]->origin.session, SessionId{1001});
  // Resumed, it may have claimed on the connection before.
  const Connection again = connect();
  say(again, R"([{"type":"hello","token":"ada","resume":{"session":"secret-1001","incarnation":4}},
                 {"type":"open","world":"island"}])");
  home.disconnected(again);
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(ClaimTest, WhoReadsTooSlowlyIsToldTheNewestOfEachLater) {
  const Connection slow = watcher(chunks(0, 0, 1, 1));
  out.full = {slow};
  const shard::SharedClaim first = claim_of(SessionId{77}, here), second = claim_of(SessionId{77}, here, 2);
  home.claim_note(note(first));
  home.claim_note(note(second));
  home.claim_note(note(first, true));
  EXPECT_TRUE(told(slow).empty());
  out.full.clear();
  home.claim_note(note(second, true));  // not before those that wait
  EXPECT_TRUE(told(slow).empty());
  ASSERT_FALSE(out.tell_rooms.empty());
  home.room(slow);
  const std::vector<json> messages = told(slow);
  ASSERT_EQ(messages.size(), 2u);
  for (const json& message : messages) EXPECT_EQ(message["type"], "released");
  EXPECT_EQ(home.slow_count(), 0u);
  home.claim_note(note(first));
  EXPECT_EQ(types(slow), Words{"claimed"});
}

}  // namespace
}  // namespace terrazzo::session

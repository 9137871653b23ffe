// Subscriptions and broadcast: SUB and BC of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

class Subscriptions : public HomeTest {
 protected:
  static map::Rect one(std::int64_t x, std::int64_t y) { return map::Rect::of_size(x, y, 1, 1); }
  // The chunks that owners were told of as watched by nobody here any more, in order.
  std::vector<map::ChunkPos> taken_off() {
    std::vector<map::ChunkPos> all;
    for (const auto& off : std::exchange(out.offs, {})) {
      EXPECT_EQ(off->core, kCore);
      for (const map::ChunkPos chunk : off->chunks) {
        EXPECT_EQ(map::shard_of(chunk), off->shard.position);
        all.push_back(chunk);
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(Subscriptions, EachShardIsAskedForItsPart) {  // SUB-1, SUB-2
  const Connection ada = enter();
  // Chunks -1 and 0 in both directions: four shards.
  say(ada, R"({"type":"subscribe","sub":6,"rect":[-5,-5,10,10],"incarnation":3,
               "known":[[1,-1,-1,12],[2,0,0,13],[1,0,0,14],[1,50,50,15]]})");
  ASSERT_EQ(out.requests.size(), 4u);
  std::vector<std::uint32_t> tickets;
  for (const auto& request : out.requests) {
    EXPECT_EQ(request->shard.world, kIsland);
    const map::ShardPos position = request->shard.position;
    EXPECT_EQ(request->chunks, one(position.x, position.y));  // chunk -1 is in shard -1, chunk 0 in shard 0
    EXPECT_EQ(request->sub, 6u);
    EXPECT_EQ(request->form, proto::Form::json);
    EXPECT_EQ(request->origin.session, SessionId{1001});
    EXPECT_EQ(request->layers, (std::vector<map::LayerId>{1, 2}));  // the object layer has no cells
    EXPECT_EQ(request->incarnation, Incarnation{3});
    const std::size_t expected = position == map::ShardPos{-1, -1} ? 1 : position == map::ShardPos{0, 0} ? 2 : 0;
    EXPECT_EQ(request->known.size(), expected);
    tickets.push_back(request->ticket);
  }
  std::sort(tickets.begin(), tickets.end());
  EXPECT_EQ(std::unique(tickets.begin(), tickets.end()), tickets.end());
  EXPECT_EQ(home.watched_chunks(), 4u);
}

TEST_F(Subscriptions, LayersAreAskedForOnce) {
  const Connection ada = enter();
  say(ada, R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"layers":[2,1,2]})");
  ASSERT_EQ(out.requests.size(), 1u);
  EXPECT_EQ(out.requests[0]->layers, (std::vector<map::LayerId>{1, 2}));
}

TEST_F(Subscriptions, SubscribedFollowsTheStatesOfAllShards) {  // SUB-1, SUB-3
  const Connection ada = enter();
  subscribe(ada, 1, map::Rect::of_size(-5, 0, 10, 1));
  ASSERT_EQ(out.requests.size(), 2u);
  answer(*out.requests[1], 12, {"right 1", "right 2"});
  EXPECT_EQ(types(ada), (Words{"right 1", "right 2"}));
  answer(*out.requests[0], 0, {"left"});
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("text"), "left");
  EXPECT_EQ(messages[1], (json{{"type", "subscribed"}, {"sub", 1}, {"shards", {{0, 0, 12}, {-1, 0, 0}}}}));
  answer(*out.requests[0], 5, {"again"});
  EXPECT_TRUE(told(ada).empty()) << "a ticket counts once";
}

TEST_F(Subscriptions, WhatIsDurableAlreadyIsToldWithTheStates) {  // BC-3
  const Connection ada = enter();
  subscribe(ada, 1, map::Rect::of_size(-5, 0, 10, 1));
  ASSERT_EQ(out.requests.size(), 2u);
  answer(*out.requests[0], 9, {}, 4);
  // A mark for other viewers, while this subscription is not complete.
  home.durable({{kIsland, out.requests[0]->shard.position}, Lsn{9}});
  answer(*out.requests[1], 0);
  const map::ShardPos shard = out.requests[0]->shard.position;
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("type"), "subscribed");
  EXPECT_EQ(messages[1], (json{{"type", "durable"}, {"shard", {shard.x, shard.y}}, {"lsn", 9}}));
}

TEST_F(Subscriptions, EditsComeAfterTheStatesAndNotBefore) {  // SUB-3
  const Connection ada = enter();
  subscribe(ada, 1, map::Rect::of_size(-5, 0, 10, 1));
  publish({0, 0}, 7, {one(0, 0)}, "edit 7");  // the states of 8 contain it
  EXPECT_TRUE(told(ada).empty());
  answer(*out.requests[1], 8, {"states 8"});
  publish({0, 0}, 9, {one(0, 0)}, "edit 9");
  publish({-1, 0}, 4, {one(-1, 0)}, "left 4");  // its states are on their way
  answer(*out.requests[0], 4, {"left states 4"});
  publish({-1, 0}, 5, {one(-1, 0)}, "left 5");
  EXPECT_EQ(types(ada), (Words{"states 8", "edit 9", "left states 4", "subscribed", "left 5"}));
}

TEST_F(Subscriptions, AnEditReachesItsViewersOnceEach) {  // BC-1
  const Connection ada = enter(), bob = watcher(chunks(1, 0, 2, 1), "bob"), far = watcher(chunks(9, 9, 1, 1));
  subscribe(ada, 1, chunks(0, 0, 4, 1));
  subscribe(ada, 2, chunks(1, 0, 4, 1));
  answer_all();
  types(ada);
  publish({0, 0}, 1, {map::Rect::of_size(0, 0, 3, 1), map::Rect::of_size(2, 0, 2, 1)}, "wide");
  publish({0, 0}, 2, {one(4, 0)}, "only the second sees it");
  publish({0, 0}, 3, {one(3, 3)}, "nobody sees it");
  EXPECT_EQ(types(ada), (Words{"wide", "only the second sees it"}));
  EXPECT_EQ(types(bob), Words{"wide"});
  EXPECT_TRUE(told(far).empty());
}

TEST_F(Subscriptions, EachFormHasItsFrame) {  // FO-1
  const Connection ada = watcher(chunks(0, 0, 1, 1)), bob = enter("bob", proto::Form::binary);
  proto::Subscribe message;
  message.rect = chunks(0, 0, 1, 1);
  say_binary(bob, message);
  ASSERT_EQ(out.requests.size(), 1u);
  EXPECT_EQ(out.requests[0]->form, proto::Form::binary);
  answer_all();
  types(bob);
  publish({0, 0}, 1, {one(0, 0)}, "text", "bytes");
  EXPECT_EQ(types(ada), Words{"text"});
  EXPECT_EQ(types(bob), Words{"bytes"});
  home.disconnected(bob);  // its form is of no interest any more, the chunk in the other one is
  ASSERT_EQ(out.offs.size(), 1u);
  EXPECT_EQ(out.offs[0]->form, proto::Form::binary);
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{0, 0}}));
  EXPECT_EQ(home.watched_chunks(), 1u);
  home.disconnected(ada);
  ASSERT_EQ(out.offs.size(), 1u);
  EXPECT_EQ(out.offs[0]->form, proto::Form::json);
}

TEST_F(Subscriptions, AReplacedRectangleStaysInForceUntilTheNewOneIsComplete) {  // SUB-4
  const Connection ada = watcher(chunks(0, 0, 2, 1));
  subscribe(ada, 1, map::Rect::of_size(-32, 0, 64, 1));  // chunks -1 and 0: two shards
  ASSERT_EQ(out.requests.size(), 2u);
  publish({0, 0}, 2, {one(1, 0)}, "old");
  answer(*out.requests[1], 2);  // chunk 0
  publish({0, 0}, 3, {one(0, 0)}, "both");
  publish({0, 0}, 4, {one(1, 0)}, "old again");
  EXPECT_EQ(types(ada), (Words{"old", "both", "old again"}));
  EXPECT_TRUE(out.offs.empty());
  answer(*out.requests[0], 1);
  EXPECT_EQ(types(ada), Words{"subscribed"});
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{1, 0}}));
  publish({0, 0}, 5, {one(1, 0)}, "out of sight");
  publish({-1, 0}, 2, {one(-1, 0)}, "new");
  publish({0, 0}, 6, {one(0, 0)}, "kept");
  EXPECT_EQ(types(ada), (Words{"new", "kept"}));
}

TEST_F(Subscriptions, OnlyTheNewestReplacementCounts) {  // SUB-4
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  subscribe(ada, 1, chunks(5, 0, 1, 1));
  subscribe(ada, 1, chunks(6, 0, 1, 1));
  ASSERT_EQ(out.requests.size(), 2u);
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{5, 0}}));
  answer(*out.requests[0], 1, {"five"});
  EXPECT_TRUE(told(ada).empty());
  publish({0, 0}, 2, {one(0, 0)}, "still in force");
  answer(*out.requests[1], 2, {"six"});
  EXPECT_EQ(types(ada), (Words{"still in force", "six", "subscribed"}));
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{0, 0}}));
  EXPECT_EQ(home.watched_chunks(), 1u);
}

TEST_F(Subscriptions, UnsubscribingEndsItAndHasNoAnswer) {  // SUB-5
  const Connection ada = watcher(chunks(0, 0, 2, 1));
  subscribe(ada, 1, chunks(4, 0, 1, 1));  // also what is on its way
  say(ada, R"({"type":"unsubscribe","sub":1})");
  answer_all();
  publish({0, 0}, 2, {map::Rect::of_size(0, 0, 9, 1)}, "unseen");
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{0, 0}, {1, 0}, {4, 0}}));
  EXPECT_EQ(home.watched_chunks(), 0u);
  say(ada, R"({"type":"unsubscribe","sub":1})");
  expect_refused(ada, 1, "not_found");
}

TEST_F(Subscriptions, ARefusedSubscribeChangesNothingAndIsNamed) {  // SUB-6
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"layers":[1,3]})", "not_found"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,1,1],"layers":[9]})", "not_found"},
      {R"({"type":"subscribe","sub":1,"rect":[0,0,1056,32]})", "too_large"},  // 33 chunks in 2 layers, 64 are allowed
      {R"({"type":"subscribe","sub":1,"rect":[-2147483648,-2147483648,4294967295,4294967295]})", "too_large"}};
  for (const auto& [text, expected] : cases) {
    say(ada, text);
    const std::vector<json> messages = told(ada);
    ASSERT_EQ(messages.size(), 1u) << text;
    EXPECT_EQ(messages[0].at("code"), expected) << text;
    EXPECT_NE(messages[0].at("message").get<std::string>().find("subscription 1"), std::string::npos) << text;
    EXPECT_EQ(messages[0].at("sub"), 1) << text;
  }
  EXPECT_TRUE(out.requests.empty());
  EXPECT_TRUE(out.offs.empty());
  publish({0, 0}, 2, {one(0, 0)}, "in force");
  EXPECT_EQ(types(ada), Words{"in force"});

  say(ada, R"({"type":"subscribe","sub":1,"rect":[0,0,1024,32]})");  // 32 chunks in 2 layers
  say(ada, R"({"type":"subscribe","sub":2,"rect":[0,0,1,1]})");
  say(ada, R"({"type":"subscribe","sub":3,"rect":[0,0,1,1]})");
  EXPECT_TRUE(told(ada).empty());
  say(ada, R"({"type":"subscribe","sub":4,"rect":[0,0,1,1]})");
  expect_refused(ada, 4, "too_large");
  // One that cannot be read has a number, too.
  say(ada, R"({"type":"subscribe","sub":5,"rect":[0,0,-1,1]})");
  expect_refused(ada, 5, "bad_message");
  say(ada, R"({"type":"subscribe","sub":-1,"rect":[0,0,1,1]})");
  EXPECT_FALSE(told(ada).at(0).contains("sub"));
}

TEST_F(Subscriptions, WhatLiesOutsideOfTheWorldIsIgnored) {  // SUB-1
  directory.world->bounds = map::Rect::of_size(0, 0, 64, 64);
  const Connection ada = enter();
  say(ada, R"({"type":"subscribe","sub":1,"rect":[-100000,-100000,200000,100010]})");
  ASSERT_EQ(out.requests.size(), 1u);
  EXPECT_EQ(out.requests[0]->chunks, map::Rect::of_size(0, 0, 2, 1));
  out.requests.clear();
  say(ada, R"({"type":"subscribe","sub":2,"rect":[-100,-100,50,50]})");
  EXPECT_TRUE(out.requests.empty());
  EXPECT_EQ(told(ada), (std::vector{json{{"type", "subscribed"}, {"sub", 2}, {"shards", json::array()}}}));
}

TEST_F(Subscriptions, AShardThatCannotBeReadEndsTheNewOneAndKeepsTheOld) {
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  subscribe(ada, 1, map::Rect::of_size(-32, 0, 64, 1));
  ASSERT_EQ(out.requests.size(), 2u);
  answer(*out.requests[1], 3, {"chunk 0"});
  shard::StatesReply broken;
  broken.origin = out.requests[0]->origin;
  broken.sub = 1;
  broken.ticket = out.requests[0]->ticket;
  broken.error = Error{ErrorCode::internal, "the shard cannot be read"};
  home.states(broken);
  const std::vector<json> answers = told(ada);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].at("type"), "error");
  EXPECT_EQ(answers[1].at("sub"), 1);
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{-1, 0}}));
  publish({0, 0}, 4, {one(0, 0)}, "in force");
  EXPECT_EQ(types(ada), Words{"in force"});

  out.requests.clear();
  subscribe(ada, 2, chunks(-1, 0, 1, 1));  // one that has no old one is not there
  broken.sub = 2;
  broken.ticket = out.requests.at(0)->ticket;
  home.states(broken);
  EXPECT_EQ(types(ada), Words{"error"});
  say(ada, R"({"type":"unsubscribe","sub":2})");
  EXPECT_EQ(code(ada), "not_found");
}

TEST_F(Subscriptions, LosingAConnectionEndsExactlyTheInterestThatNobodyShares) {
  const Connection ada = watcher(chunks(-1, 0, 4, 1)), bob = watcher(chunks(1, 0, 2, 2), "bob");
  subscribe(ada, 2, chunks(0, 0, 1, 1));
  subscribe(ada, 1, chunks(-1, 0, 5, 1));  // on its way
  home.disconnected(ada);
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{-1, 0}, {0, 0}, {3, 0}}));
  answer_all();
  publish({0, 0}, 2, {map::Rect::of_size(0, 0, 9, 9)}, "seen by Bob");
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(types(bob), Words{"seen by Bob"});
  home.disconnected(bob);
  EXPECT_EQ(taken_off(), (std::vector<map::ChunkPos>{{1, 0}, {1, 1}, {2, 0}, {2, 1}}));
  EXPECT_EQ(home.watched_chunks(), 0u);
}

}  // namespace
}  // namespace terrazzo::session

// Edits on their way to shards, and their answers: ED, BC-3 and BP-2 of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

using Stage = shard::EditOutcome::Stage;
constexpr proto::ShardMark kHere{{0, 0}, Lsn{8}};
constexpr proto::ShardMark kLeft{{-1, 0}, Lsn{3}};
constexpr std::uint64_t kMs = 1'000'000;

class Edits : public HomeTest {
 protected:
  // An edit of the shards -1,0 and 0,0.
  shard::Origin edit_both(Connection connection, std::uint64_t id, std::string_view ack) {
    say(connection, json{{"type", "edit"},
                         {"id", id},
                         {"ack", ack},
                         {"ops", {{{"op", "fill"}, {"layer", 1}, {"rect", {-4, 0, 8, 2}}, {"cell", 7}}}}}
                        .dump());
    EXPECT_EQ(out.coordinated.size(), 1u);
    return out.coordinated.back()->origin;
  }
  void expect_ack(Connection connection, std::uint64_t id, const json& shards, bool durable) {
    EXPECT_EQ(told(connection),
              (std::vector{json{{"type", "ack"}, {"id", id}, {"shards", shards}, {"durable", durable}}}));
  }
};

TEST_F(Edits, AnEditGoesToItsShardWithWhoAsked) {  // ED-1, ED-2
  const Connection ada = enter();
  say(ada, R"({"type":"edit","id":9,"ops":[{"op":"set","layer":2,"rect":[-3,8191,2,1],"cells":[2147483655,0]}],
               "if":[{"layer":1,"rect":[-3,8191,1,1],"cell":0}]})");
  ASSERT_EQ(out.edits.size(), 1u);
  const shard::EditRequest& request = *out.edits[0];
  EXPECT_EQ(request.shard, (shard::ShardKey{kIsland, {-1, 0}}));
  EXPECT_EQ(request.origin.session, SessionId{1001});
  EXPECT_EQ(request.edit.id, EditId{9});
  EXPECT_EQ(request.edit.ack, map::AckMode::durable);
  ASSERT_EQ(request.edit.ops.size(), 1u);
  EXPECT_EQ(request.edit.ops[0].rect, map::Rect::of_size(-3, 8191, 2, 1));
  EXPECT_EQ(request.edit.ops[0].cells[0], (map::Cell{7 | map::Cell::kFlipHorizontal}));
  EXPECT_EQ(request.edit.conditions.size(), 1u);
  EXPECT_TRUE(told(ada).empty());  // the answer comes from the shard
}

TEST_F(Edits, ACopyInOneShardGoesThereWithOtherOps) {  // ED-10
  const Connection ada = enter();
  say(ada, R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[0,0,9,9],"cell":7},
               {"op":"copy","layer":1,"rect":[0,0,3,2],"to":[20,5],"to_layer":2,"flip":"vertical","turns":1},
               {"op":"flood","layer":2,"x":30,"y":30,"cell":3,"bounds":[0,0,100,100]}],
               "if":[{"layer":1,"rect":[0,0,1,1],"cell":0}]})");
  ASSERT_EQ(out.edits.size(), 1u);
  const shard::EditRequest& request = *out.edits[0];
  ASSERT_EQ(request.edit.ops.size(), 3u);
  EXPECT_EQ(request.edit.ops[1].rect, map::Rect::of_size(20, 5, 2, 3));
  EXPECT_EQ(map::source_of(request.edit.ops[1]), map::Rect::of_size(0, 0, 3, 2));
  EXPECT_EQ(request.edit.ops[2].source, (map::CellPos{30, 30}));
}

TEST_F(Edits, ACopyOverShardsGoesToTheCoordinatorAsItIs) {  // ED-11
  const Connection ada = enter();
  // The source lies in another shard than the target.
  say(ada, R"({"type":"edit","id":1,"ops":[{"op":"copy","layer":1,"rect":[-5,0,3,2],"to":[20,5]}]})");
  EXPECT_TRUE(out.edits.empty());
  ASSERT_EQ(out.coordinated.size(), 1u);
  const shard::CoordinatedRequest& request = *out.coordinated[0];
  EXPECT_TRUE(request.parts.empty());
  ASSERT_TRUE(request.derived);
  EXPECT_EQ(request.derived->rect, map::Rect::of_size(20, 5, 3, 2));
  EXPECT_NE(request.time_us, 0u);
  settle(request.origin, 1, kHere, Stage::durable);  // the only shard that is written to
  expect_ack(ada, 1, {{0, 0, 8}}, true);
}

TEST_F(Edits, OverShardsACopyOrFloodStandsAlone) {  // ED-11
  const Connection ada = enter();
  say(ada, R"({"type":"edit","id":1,"ops":[{"op":"copy","layer":1,"rect":[-5,0,3,2],"to":[20,5]},
               {"op":"fill","layer":1,"rect":[0,0,1,1],"cell":1}]})");
  EXPECT_EQ(code(ada), "unsupported");
  say(ada, R"({"type":"edit","id":2,"ops":[{"op":"flood","layer":1,"x":0,"y":0,"cell":1,"bounds":[-5,0,10,2]}],
               "if":[{"layer":1,"rect":[0,0,1,1],"cell":0}]})");
  EXPECT_EQ(code(ada), "unsupported");
  say(ada, R"({"type":"edit","id":3,"ops":[{"op":"copy","layer":1,"rect":[-300,0,600,600],"to":[20,5]}]})");
  EXPECT_EQ(code(ada), "too_large");
  EXPECT_TRUE(out.coordinated.empty());
}

TEST_F(Edits, AnEditOverShardsGoesToTheCoordinatorWhole) {  // ED-4
  const Connection ada = enter();
  edit_both(ada, 1, "durable");
  EXPECT_TRUE(out.edits.empty());
  const shard::CoordinatedRequest& request = *out.coordinated[0];
  EXPECT_EQ(request.world, kIsland);
  EXPECT_EQ(request.id, EditId{1});
  EXPECT_EQ(request.ack, map::AckMode::durable);
  EXPECT_EQ(request.origin.session, SessionId{1001});
  EXPECT_EQ(request.origin.core, kCore);
  ASSERT_EQ(request.parts.size(), 2u);
  EXPECT_EQ(request.parts[0]->shard.position, (map::ShardPos{-1, 0}));
  EXPECT_EQ(request.parts[0]->edit.ops[0].rect, map::Rect::of_size(-4, 0, 4, 2));
  EXPECT_EQ(request.parts[1]->edit.ops[0].rect, map::Rect::of_size(0, 0, 4, 2));
}

TEST_F(Edits, ByDefaultTheAnswerWaitsForTheDisk) {  // ED-5, ED-6
  const Connection ada = enter();
  edit(ada, 1);
  const shard::Origin origin = out.edits.at(0)->origin;
  settle(origin, 1, kHere, Stage::applied);
  EXPECT_TRUE(told(ada).empty());
  settle(origin, 1, kHere, Stage::durable);
  expect_ack(ada, 1, {{0, 0, 8}}, true);
  settle(origin, 1, kHere, Stage::durable);
  EXPECT_TRUE(told(ada).empty()) << "answered exactly once";
}

TEST_F(Edits, WhoAsksForAppliedIsAnsweredAtOnce) {  // ED-6
  const Connection ada = enter();
  edit(ada, 1, "applied");
  const shard::Origin origin = out.edits.at(0)->origin;
  settle(origin, 1, kHere, Stage::applied);
  expect_ack(ada, 1, {{0, 0, 8}}, false);
  settle(origin, 1, kHere, Stage::durable);
  EXPECT_TRUE(told(ada).empty()) << "`durable` marks tell the rest";
}

TEST_F(Edits, AnAnswerOverShardsWaitsForTheLastOfThem) {  // ED-4, ED-6
  const Connection ada = enter();
  const shard::Origin origin = edit_both(ada, 1, "durable");
  settle(origin, 1, kLeft, Stage::applied);
  settle(origin, 1, kHere, Stage::applied);
  settle(origin, 1, kLeft, Stage::durable);
  EXPECT_TRUE(told(ada).empty());
  settle(origin, 1, kHere, Stage::durable);
  expect_ack(ada, 1, {{-1, 0, 3}, {0, 0, 8}}, true);
}

TEST_F(Edits, AppliedOverShardsNeedsAllOfThemAndSaysWhetherAllAreDurable) {  // ED-6
  const Connection ada = enter();
  shard::Origin origin = edit_both(ada, 1, "applied");
  EXPECT_EQ(out.coordinated[0]->ack, map::AckMode::applied);
  settle(origin, 1, kHere, Stage::durable);  // an owner that had its group on disk before it looked up
  EXPECT_TRUE(told(ada).empty());
  settle(origin, 1, kLeft, Stage::applied);
  expect_ack(ada, 1, {{0, 0, 8}, {-1, 0, 3}}, false);

  out.coordinated.clear();
  origin = edit_both(ada, 2, "applied");
  settle(origin, 2, kHere, Stage::durable);
  settle(origin, 2, kLeft, Stage::durable);
  expect_ack(ada, 2, {{0, 0, 8}, {-1, 0, 3}}, true);
}

TEST_F(Edits, ARejectedEditIsAnsweredWithTheReason) {  // ED-3, ED-5
  const Connection ada = enter();
  edit(ada, 1);
  const shard::Origin origin = out.edits.at(0)->origin;
  settle(origin, 1, {}, Stage::rejected, Error{ErrorCode::condition_failed, "condition 0"});
  EXPECT_EQ(
      told(ada),
      (std::vector{json{{"type", "reject"}, {"id", 1}, {"code", "condition_failed"}, {"message", "condition 0"}}}));
  EXPECT_EQ(home.counters().rejects, 1u);
  edit(ada, 1);  // its place is free again
  EXPECT_EQ(out.edits.size(), 2u);
}

TEST_F(Edits, OnlySoManyWaitForTheirAnswer) {  // ED-8, BP-2
  const Connection ada = enter();
  for (std::uint64_t id = 1; id <= 4; ++id) edit(ada, id);
  EXPECT_TRUE(told(ada).empty());
  edit(ada, 5);
  EXPECT_EQ(code(ada), "overloaded");
  EXPECT_EQ(out.edits.size(), 4u);
  edit(ada, 4);  // no new one: it waits already
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(out.edits.size(), 4u);
  settle(out.edits[2]->origin, 3, kHere, Stage::durable);
  told(ada);
  edit(ada, 5);
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(out.edits.size(), 5u);
}

TEST_F(Edits, AnEditSentTwiceOnOneConnectionIsAnsweredOnce) {  // ED-5, ED-7
  const Connection ada = enter();
  edit(ada, 1);
  edit(ada, 1);
  ASSERT_EQ(out.edits.size(), 1u);
  settle(out.edits[0]->origin, 1, kHere, Stage::durable);
  EXPECT_EQ(types(ada), Words{"ack"});
}

TEST_F(Edits, AnAnswerBelongsToTheConnectionThatAsked) {  // RS-3
  const Connection first = enter();
  edit(first, 1);
  const shard::Origin old = out.edits.at(0)->origin;
  home.disconnected(first);
  const Connection second = connect();
  say(second, R"([{"type":"hello","token":"ada","resume":{"session":"secret-1001","incarnation":4}},
                  {"type":"open","world":"island"}])");
  told(second);
  edit(second, 1);
  settle(old, 1, kHere, Stage::durable);
  EXPECT_TRUE(told(second).empty());
  settle(out.edits.at(1)->origin, 1, kHere, Stage::durable);
  EXPECT_EQ(types(second), Words{"ack"});
}

TEST_F(Edits, AViewerIsForbidden) {
  const Connection eve = enter("eve");
  edit(eve, 1);
  EXPECT_EQ(code(eve), "forbidden");
  EXPECT_TRUE(out.edits.empty());
}

TEST_F(Edits, WhatBreaksTheWorldsRulesReachesNoShard) {  // ED-4, ED-8, ER-4
  const Connection ada = enter();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"edit","id":1,"ops":[]})", "bad_message"},
      {R"({"type":"edit","id":0,"ops":[{"op":"set","layer":1,"x":0,"y":0,"cells":[7]}]})", "bad_message"},
      {R"({"type":"edit","id":1,"ops":[{"op":"set","layer":1,"x":0,"y":0,"cells":[100]}]})", "out_of_bounds"},
      {R"({"type":"edit","id":1,"ops":[{"op":"set","layer":9,"x":0,"y":0,"cells":[7]}]})", "not_found"},
      {R"({"type":"edit","id":1,"ops":[{"op":"set","layer":3,"x":0,"y":0,"cells":[7]}]})", "bad_message"},
      {R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[-4,0,8,2],"cell":7}],
           "if":[{"layer":1,"rect":[0,0,1,1],"cell":0}]})",
       "unsupported"},
      {R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[0,0,300000,300000],"cell":7}]})", "too_large"}};
  for (const auto& [text, expected] : cases) {
    say(ada, text);
    const std::vector<json> messages = told(ada);
    ASSERT_EQ(messages.size(), 1u) << text;
    EXPECT_EQ(messages[0].at("type"), "reject") << text;
    EXPECT_EQ(messages[0].at("code"), expected) << text;
    EXPECT_FALSE(messages[0].at("message").get<std::string>().empty());
  }
  EXPECT_TRUE(out.edits.empty());
  EXPECT_TRUE(out.coordinated.empty());
}

TEST_F(Edits, DurableMarksGoToTheViewersOfTheShardTenTimesASecondAtMost) {  // BC-3
  const Connection here = watcher(chunks(0, 0, 2, 2)), left = watcher(chunks(-3, 0, 2, 2)), lobby = enter("bob");
  int sent = 0;
  std::uint64_t last = 0;
  for (std::uint64_t lsn = 1; lsn <= 1000; ++lsn) {  // a second, a mark each millisecond
    home.durable({{kIsland, {0, 0}}, Lsn{lsn}});
    home.tick(1000 * kMs + lsn * kMs);
    for (const json& message : told(here)) {
      EXPECT_EQ(message.at("type"), "durable");
      EXPECT_EQ(message.at("shard"), json({0, 0}));
      EXPECT_EQ(message.at("lsn"), lsn) << "the newest counts";
      last = message.at("lsn");
      ++sent;
    }
  }
  EXPECT_GE(sent, 9);
  EXPECT_LE(sent, 10);
  // The last one is not lost: the home asks for a tick that sends it.
  EXPECT_LT(last, 1000u);
  const std::uint64_t due = home.next_tick_ns();
  EXPECT_LE(due, 2000 * kMs + 100 * kMs);
  home.tick(due);
  const std::vector<json> rest = told(here);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].at("lsn"), 1000);
  EXPECT_EQ(home.next_tick_ns(), UINT64_MAX);
  EXPECT_TRUE(told(left).empty());
  EXPECT_TRUE(told(lobby).empty());
}

}  // namespace
}  // namespace terrazzo::session

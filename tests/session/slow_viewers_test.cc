// Connections that read too slowly: BP of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

class SlowViewers : public HomeTest {
 protected:
  void fill_up(Connection connection) { out.full.push_back(connection); }
  void drain(Connection connection) {
    std::erase(out.full, connection);
    ASSERT_TRUE(std::ranges::find(out.tell_rooms, connection) != out.tell_rooms.end());
    std::erase(out.tell_rooms, connection);
    home.room(connection);
  }
  void answer_refresh(std::uint64_t lsn, std::vector<std::string> frames) {
    ASSERT_EQ(out.refreshes.size(), 1u);
    const auto request = std::move(out.refreshes.front());
    out.refreshes.clear();
    shard::StatesReply reply;
    reply.origin = request->origin;
    reply.ticket = request->ticket;
    reply.shard = request->shard.position;
    reply.mark = {request->shard.position, Lsn{lsn}};
    reply.refresh = true;
    reply.chunks = frames.size();
    for (const std::string& text : frames) reply.frames.push_back(frame_of(text));
    home.states(reply);
  }
};

TEST_F(SlowViewers, AreToldThatTheyAreLeftOutAndThenTheNewestStates) {  // BP-1, BP-3
  const Connection ada = watcher(chunks(0, 0, 2, 2)), bob = watcher(chunks(0, 0, 2, 2), "bob");
  publish({0, 0}, 7, {one(0, 0)}, "edit 7");
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  publish({0, 0}, 9, {one(1, 1)}, "edit 9");
  EXPECT_EQ(types(bob), (Words{"edit 7", "edit 8", "edit 9"}));
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1], (json{{"type", "stale"}, {"shard", {0, 0}}, {"lsn", 8}}));
  EXPECT_EQ(home.slow_count(), 1u);
  EXPECT_EQ(home.stale_shards(), 1u);

  drain(ada);
  ASSERT_EQ(out.refreshes.size(), 1u);
  EXPECT_EQ(out.refreshes[0]->since, Lsn{8});
  EXPECT_EQ(out.refreshes[0]->shard.world, kIsland);
  ASSERT_EQ(out.refreshes[0]->areas.size(), 1u);
  EXPECT_EQ(out.refreshes[0]->areas[0].chunks, map::Rect::of_size(0, 0, 2, 2));
  EXPECT_EQ(out.refreshes[0]->areas[0].layers, (std::vector<map::LayerId>{1, 2}));
  publish({0, 0}, 10, {one(0, 0)}, "edit 10");  // the states of 10 contain it
  EXPECT_TRUE(told(ada).empty());
  answer_refresh(10, {"states 10"});
  publish({0, 0}, 11, {one(0, 0)}, "edit 11");
  const std::vector<json> after = told(ada);
  ASSERT_EQ(after.size(), 3u);
  EXPECT_EQ(after[0].at("text"), "states 10");
  EXPECT_EQ(after[1], (json{{"type", "refreshed"}, {"shard", {0, 0}}, {"lsn", 10}}));
  EXPECT_EQ(after[2].at("text"), "edit 11");
  drain(ada);
  EXPECT_EQ(home.slow_count(), 0u);
  EXPECT_EQ(home.counters().conflations, 1u);
  EXPECT_EQ(home.counters().edits_left_out, 3u);
  EXPECT_EQ(home.counters().chunks_refreshed, 1u);
}

TEST_F(SlowViewers, AreMadeOfEverybodyByAnEditThatHasNoMessage) {  // BP-5
  const Connection ada = watcher(chunks(0, 0, 2, 2)), bob = watcher(chunks(30, 30, 1, 1), "bob");
  shard::Publication publication;
  publication.shard = {kIsland, {0, 0}};
  publication.lsn = Lsn{7};
  publication.touched.push_back(map::Rect::of_size(0, 0, 16, 16));
  publication.as_states = true;
  home.publication(publication);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0], (json{{"type", "stale"}, {"shard", {0, 0}}, {"lsn", 7}}));
  EXPECT_TRUE(told(bob).empty());
  EXPECT_EQ(home.counters().conflations, 0u) << "she reads fast enough";
  drain(ada);
  ASSERT_EQ(out.refreshes.size(), 1u);
  EXPECT_EQ(out.refreshes[0]->since, Lsn{7});
  answer_refresh(7, {"states 7"});
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  EXPECT_EQ(types(ada), (Words{"states 7", "refreshed", "edit 8"}));
}

TEST_F(SlowViewers, OtherShardsGoOnWhileOneIsMadeGood) {  // BP-3
  const Connection ada = watcher(map::Rect::of_size(-5, 0, 10, 1));
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "right 8");
  drain(ada);
  publish({-1, 0}, 3, {one(-1, 0)}, "left 3");
  publish({0, 0}, 9, {one(0, 0)}, "right 9");
  EXPECT_EQ(types(ada), (Words{"stale", "left 3"}));
}

TEST_F(SlowViewers, StatesThatAreOnTheirWayAreAskedForAgain) {  // BP-3
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  subscribe(ada, 2, chunks(4, 0, 1, 1));
  drain(ada);
  // The owner takes the subscription first; an edit between its answers is left out, so the second one has to cover it.
  ASSERT_EQ(out.refreshes.size(), 1u);
  std::vector<map::Rect> areas;
  for (const auto& area : out.refreshes[0]->areas) areas.push_back(area.chunks);
  EXPECT_TRUE(std::ranges::find(areas, one(4, 0)) != areas.end());
  answer(*out.requests.back(), 8, {"states of 2"});
  publish({0, 0}, 9, {one(4, 0)}, "edit 9");
  EXPECT_EQ(types(ada), (Words{"stale", "states of 2", "subscribed"}));
  answer_refresh(9, {"states 9"});
  EXPECT_EQ(types(ada), (Words{"states 9", "refreshed"}));
}

TEST_F(SlowViewers, AnswersAreNeverLeftOut) {  // BP-4
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  edit(ada, 1, "applied");
  settle(out.edits.at(0)->origin, 1, {{0, 0}, Lsn{9}}, shard::EditOutcome::Stage::applied);
  say(ada, R"({"type":"ping","t":5})");
  EXPECT_EQ(types(ada), (Words{"stale", "ack", "pong"}));
}

TEST_F(SlowViewers, GetTheNewestMarkAndPresenceWhenThereIsRoom) {  // BP-4
  const Connection ada = watcher(chunks(0, 0, 1, 1)), bob = watcher(chunks(0, 0, 1, 1), "bob");
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  std::uint64_t now = 1'000'000'000;
  for (const std::uint64_t lsn : {7u, 8u}) {
    home.durable({{kIsland, {0, 0}}, Lsn{lsn}});
    home.tick(now += 200'000'000);
  }
  for (const int x : {1, 2}) home.presence(seen_at(SessionId{7}, {x, 0}));
  EXPECT_EQ(types(bob), (Words{"edit 8", "durable", "durable", "presence", "presence"}));
  EXPECT_EQ(types(ada), Words{"stale"});
  drain(ada);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("lsn"), 8);
  EXPECT_EQ(messages[1].at("cursor"), json({2, 0}));
}

// PR-5: the world as it is by then, and before any edit that may be about what is new in it.
TEST_F(SlowViewers, GetTheNewestWorldWhenThereIsRoom) {
  const Connection ada = watcher(chunks(0, 0, 1, 1)), bob = watcher(chunks(0, 0, 1, 1), "bob");
  fill_up(ada);
  for (const char* name : {"isle", "islet"}) {
    auto world = std::make_shared<map::World>(*directory.world);
    world->name = name;
    home.world_changed(world);
  }
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  EXPECT_EQ(types(bob), (Words{"world", "world", "edit 8"}));
  EXPECT_EQ(types(ada), Words{"stale"});
  EXPECT_EQ(home.slow_count(), 1u);
  drain(ada);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].at("type"), "world");
  EXPECT_EQ(messages[0].at("world").at("name"), "islet");
  EXPECT_EQ(out.refreshes.size(), 1u);
}

TEST_F(SlowViewers, WhoseShardCannotBeReadAreClosed) {
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  drain(ada);
  shard::StatesReply reply;
  reply.origin = out.refreshes.at(0)->origin;
  reply.ticket = out.refreshes.at(0)->ticket;
  reply.refresh = true;
  reply.error = Error{ErrorCode::internal, "the file is damaged"};
  home.states(reply);
  EXPECT_EQ(types(ada), (Words{"stale", "error", "close"}));
}

TEST_F(SlowViewers, AreForgottenWhenTheyGo) {
  const Connection ada = watcher(chunks(0, 0, 1, 1));
  fill_up(ada);
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  home.disconnected(ada);
  EXPECT_EQ(home.slow_count(), 0u);
  home.room(ada);
  EXPECT_TRUE(out.refreshes.empty());
}

}  // namespace
}  // namespace terrazzo::session

// PR of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart = 1000 * kMs;

class PresenceTest : public HomeTest {
 protected:
  void move(Connection connection, int x) { say(connection, json{{"type", "presence"}, {"cursor", {x, 0}}}.dump()); }
};

TEST_F(PresenceTest, TheNewestGoesOutThirtyTimesASecondAtMost) {  // PR-2
  const Connection ada = enter();
  for (int ms = 0; ms < 1000; ++ms) {
    move(ada, ms);
    const std::size_t before = out.notes.size();
    home.tick(kStart + static_cast<std::uint64_t>(ms) * kMs);
    if (out.notes.size() > before) {
      EXPECT_EQ(out.notes.back()->cursor, (map::CellPos{ms, 0}));
    }
  }
  EXPECT_GE(out.notes.size(), 29u);
  EXPECT_LE(out.notes.size(), 31u);  // the first one at once
  // Who stops moving is seen where it stopped.
  const std::uint64_t due = home.next_tick_ns();
  ASSERT_LT(due, kStart + 1100 * kMs);
  home.tick(due);
  EXPECT_EQ(out.notes.back()->cursor, (map::CellPos{999, 0}));
  EXPECT_EQ(home.next_tick_ns(), UINT64_MAX);
}

TEST_F(PresenceTest, WhileACoreIsBehindTheNewestWaits) {  // PR-5
  const Connection ada = enter(), bob = enter("bob");
  out.behind = true;
  move(ada, 1);
  move(bob, 7);
  home.tick(kStart);
  move(ada, 2);
  ASSERT_LT(home.next_tick_ns(), kStart + 1100 * kMs);
  home.tick(home.next_tick_ns());
  EXPECT_TRUE(out.notes.empty());
  out.behind = false;
  home.tick(home.next_tick_ns());
  ASSERT_EQ(out.notes.size(), 2u);
  EXPECT_EQ(out.notes[0]->cursor, (map::CellPos{2, 0}));
  EXPECT_EQ(out.notes[1]->cursor, (map::CellPos{7, 0}));
  EXPECT_EQ(home.next_tick_ns(), UINT64_MAX);
}

TEST_F(PresenceTest, APartThatIsAbsentStaysAsItWas) {  // PR-1
  const Connection ada = enter();
  say(ada, R"({"type":"presence","cursor":[1,2],"viewport":[0,0,10,10],"tool":"brush"})");
  say(ada, R"({"type":"presence","cursor":[3,4],"selection":[5,5,2,2]})");
  home.tick(kStart);
  ASSERT_EQ(out.notes.size(), 1u);
  EXPECT_EQ(out.notes[0]->world, kIsland);
  EXPECT_EQ(out.notes[0]->session, SessionId{1001});
  EXPECT_EQ(out.notes[0]->cursor, (map::CellPos{3, 4}));
  EXPECT_EQ(out.notes[0]->viewport, map::Rect::of_size(0, 0, 10, 10));
  EXPECT_EQ(out.notes[0]->selection, map::Rect::of_size(5, 5, 2, 2));
  EXPECT_EQ(out.notes[0]->tool, "brush");
  EXPECT_EQ(out.notes[0]->name, "ada");  // who says no name is called as the token says
  EXPECT_NE(out.notes[0]->color, 0u);
  EXPECT_FALSE(out.notes[0]->left);
  say(ada, R"({"type":"presence","cursor":[9,9]})");
  home.tick(home.next_tick_ns());
  ASSERT_EQ(out.notes.size(), 2u);
  EXPECT_EQ(out.notes[1]->cursor, (map::CellPos{9, 9}));
  EXPECT_EQ(out.notes[1]->viewport, out.notes[0]->viewport);
  EXPECT_EQ(out.notes[1]->selection, out.notes[0]->selection);
  EXPECT_EQ(out.notes[1]->tool, "brush");
}

TEST_F(PresenceTest, ItGoesToTheOthersInTheWorld) {  // PR-2, PR-3
  const Connection ada = enter(), bob = enter("bob"), lobby = connect();
  const boost::intrusive_ptr<PresenceNote> note(new PresenceNote);
  note->world = kIsland;
  note->session = SessionId{1001};
  note->name = "Ada";
  note->color = 0x3CB44B;
  note->cursor = map::CellPos{-3, 4};
  note->tool = "brush";
  note->to_all = true;
  home.presence(note);
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(told(bob), (std::vector{json{{"type", "presence"},
                                         {"session", "1001"},
                                         {"name", "Ada"},
                                         {"color", "#3cb44b"},
                                         {"cursor", {-3, 4}},
                                         {"tool", "brush"}}}));
  EXPECT_TRUE(told(lobby).empty());
  note->left = true;
  home.presence(note);
  EXPECT_EQ(told(bob), (std::vector{json{{"type", "left"}, {"session", "1001"}}}));
  note->world = WorldId{18};
  home.presence(note);
  EXPECT_TRUE(told(bob).empty());
}

TEST_F(PresenceTest, WhoGoesSaysSoIfAnybodySawIt) {  // PR-3
  const Connection ada = enter(), quiet = enter("bob");
  move(ada, 1);
  home.tick(kStart);
  home.disconnected(quiet);
  EXPECT_EQ(out.notes.size(), 1u);
  home.disconnected(ada);
  ASSERT_EQ(out.notes.size(), 2u);
  EXPECT_TRUE(out.notes[1]->left);
  EXPECT_EQ(out.notes[1]->session, SessionId{1001});
}

TEST_F(PresenceTest, ANewcomerLearnsWhereTheOthersAre) {
  const Connection ada = enter();
  move(ada, 1);
  out.asked.clear();
  const Connection bob = enter("bob");
  ASSERT_EQ(out.asked.size(), 1u);
  const PresenceAsk ask = out.asked[0];
  EXPECT_EQ(ask.newcomer.session, SessionId{1002});
  home.presence_asked(ask);
  ASSERT_EQ(out.notes_to.size(), 1u);  // Ada's; Bob has none, and is not told of himself
  EXPECT_EQ(out.notes_to[0].second->session, SessionId{1001});
  home.presence_for(ask.newcomer, out.notes_to[0].second);
  EXPECT_EQ(types(bob), Words{"presence"});
  EXPECT_TRUE(told(ada).empty());
  // Who comes back before the old connection is gone is not told of it.
  home.presence_asked({kIsland, {SessionId{1001}, 9, 9, kCore}, std::nullopt});
  EXPECT_EQ(out.notes_to.size(), 1u);
}

TEST_F(PresenceTest, NewcomersGetTheSameNoteUntilSomethingNewIsSaid) {  // so that it is encoded once for them
  const Connection ada = enter();
  move(ada, 1);
  const shard::Origin bob{SessionId{1002}, 7, 1, kCore}, eve{SessionId{1003}, 8, 1, kCore};
  home.presence_asked({kIsland, bob, std::nullopt});
  home.presence_asked({kIsland, eve, std::nullopt});
  ASSERT_EQ(out.notes_to.size(), 2u);
  EXPECT_EQ(out.notes_to[0].second, out.notes_to[1].second);
  move(ada, 2);
  home.presence_asked({kIsland, eve, std::nullopt});
  ASSERT_EQ(out.notes_to.size(), 3u);
  EXPECT_EQ(out.notes_to[0].second->cursor, (map::CellPos{1, 0}));
  EXPECT_EQ(out.notes_to[2].second->cursor, (map::CellPos{2, 0}));
}

TEST_F(PresenceTest, WhoIsGoneBeforeTheTickIsNotSent) {
  const Connection ada = enter();
  move(ada, 1);
  home.disconnected(ada);
  out.notes.clear();
  home.tick(kStart);
  EXPECT_TRUE(out.notes.empty());
  EXPECT_EQ(home.next_tick_ns(), UINT64_MAX);
}

// ---- who is told (PR-2) ----

TEST_F(PresenceTest, OnlyThoseWhoWatchThePlaceAreToldAfterTheFirst) {
  const Connection here = watcher(chunks(0, 0, 2, 2)), there = watcher(chunks(10, 0, 2, 2), "bob"),
                   binary = enter("eve", proto::Form::binary);
  proto::Subscribe message;
  message.sub = 1;
  message.rect = chunks(0, 0, 1, 1);
  say_binary(binary, message);
  answer_all();
  told(binary);
  home.presence(seen_at(SessionId{7}, {3, 4}, {one(0, 0)}));
  EXPECT_EQ(types(here), Words{"presence"});
  EXPECT_EQ(types(binary), Words{"presence"});
  EXPECT_TRUE(told(there).empty());
}

TEST_F(PresenceTest, ANoteNamesWhereItIsAndWhereItWas) {
  const Connection ada = enter();
  std::uint64_t now = kStart;
  say(ada, R"({"type":"presence","cursor":[1,2]})");
  home.tick(now);
  say(ada, R"({"type":"presence","cursor":[100,2],"selection":[64,64,64,32]})");
  home.tick(now += 40 * kMs);
  say(ada, R"({"type":"presence","selection":[0,0,0,0]})");
  home.tick(now += 40 * kMs);
  ASSERT_EQ(out.notes.size(), 3u);
  EXPECT_TRUE(out.notes[0]->to_all);
  using Places = std::vector<map::Rect>;
  const auto places = [&](std::size_t i) { return Places(out.notes[i]->chunks.begin(), out.notes[i]->chunks.end()); };
  EXPECT_FALSE(out.notes[1]->to_all);
  EXPECT_EQ(places(1), (Places{one(3, 0), map::Rect::of_size(2, 2, 2, 1), one(0, 0)}));
  EXPECT_EQ(places(2), (Places{one(3, 0), one(3, 0), map::Rect::of_size(2, 2, 2, 1)}));
}

TEST_F(PresenceTest, AViewportIsThePlaceOfWhoPointsNowhere) {
  const Connection ada = enter();
  say(ada, R"({"type":"presence","viewport":[0,0,64,32]})");
  home.tick(kStart);
  EXPECT_EQ(out.notes.at(0)->chunks.at(0), map::Rect::of_size(0, 0, 2, 1));
  say(ada, R"({"type":"presence","tool":"brush","viewport":[0,0,0,0]})");
  home.tick(kStart + 40 * kMs);
  EXPECT_FALSE(out.notes.at(1)->to_all);  // who saw the viewport
  say(ada, R"({"type":"presence","tool":"fill"})");
  home.tick(kStart + 80 * kMs);
  EXPECT_TRUE(out.notes.at(2)->to_all);  // nowhere at all
}

// A selection as large as the world is looked for session by session, a small one chunk by chunk: the same sessions.
TEST_F(PresenceTest, LargeAndSmallPlacesFindTheSame) {
  std::vector<Connection> crowd;
  for (int i = 0; i < 12; ++i) crowd.push_back(watcher(chunks(4 * i, 0, 2, 2), i % 2 == 0 ? "ada" : "bob"));
  home.presence(seen_at(SessionId{7}, {0, 0}, {map::Rect::of_size(5, 0, 4, 1)}));       // a few chunks
  home.presence(seen_at(SessionId{8}, {0, 0}, {map::Rect::of_size(5, -100, 4, 101)}));  // many
  for (std::size_t i = 0; i < crowd.size(); ++i) {
    const std::vector<json> messages = told(crowd[i]);
    EXPECT_EQ(messages.size(), i == 1 || i == 2 ? 2u : 0u) << i;
  }
}

TEST_F(PresenceTest, WhoSubscribesIsToldOfThoseWhoAreThere) {  // PR-4
  const Connection ada = enter();
  say(ada, R"({"type":"presence","cursor":[40,0]})");
  const Connection bob = watcher(chunks(0, 0, 1, 1), "bob");
  out.asked.clear();
  subscribe(bob, 1, chunks(0, 0, 2, 1));
  answer_all();
  ASSERT_EQ(out.asked.size(), 1u);
  EXPECT_EQ(out.asked[0].area, map::Rect::of_size(0, 0, 2, 1));
  EXPECT_EQ(out.asked[0].known, one(0, 0));
  home.presence_asked(out.asked[0]);
  ASSERT_EQ(out.notes_to.size(), 1u);
  EXPECT_EQ(out.notes_to[0].second->cursor, (map::CellPos{40, 0}));
  // Not of those who were in what it watched before.
  PresenceAsk again = out.asked[0];
  again.known = map::Rect::of_size(1, 0, 1, 1);
  home.presence_asked(again);
  again = out.asked[0];
  again.area = one(0, 0);
  again.known = {};
  home.presence_asked(again);
  EXPECT_EQ(out.notes_to.size(), 1u);
}

// ---- who has to wait (PR-5) ----

TEST_F(PresenceTest, IsTheFirstThingLeftOut) {
  const Connection ada = watcher(chunks(0, 0, 1, 1)), bob = watcher(chunks(0, 0, 1, 1), "bob");
  out.busy.push_back(ada);  // room for edits, none for presence
  for (const int x : {1, 2}) home.presence(seen_at(SessionId{7}, {x, 0}));
  home.presence(seen_at(SessionId{8}, {5, 0}));
  publish({0, 0}, 8, {one(0, 0)}, "edit 8");
  EXPECT_EQ(types(ada), Words{"edit 8"});
  EXPECT_EQ(types(bob), (Words{"presence", "presence", "presence", "edit 8"}));
  EXPECT_EQ(home.slow_count(), 0u);  // it gets every edit
  EXPECT_EQ(home.counters().conflations, 0u);
  ASSERT_EQ(out.tell_rooms, std::vector{ada});
  // What comes after it could be sent, but must not overtake what waits.
  out.busy.clear();
  home.presence(seen_at(SessionId{7}, {3, 0}));
  EXPECT_TRUE(told(ada).empty());
  home.room(ada);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("cursor"), json({3, 0}));
  EXPECT_EQ(messages[1].at("cursor"), json({5, 0}));
  home.presence(seen_at(SessionId{7}, {4, 0}));
  EXPECT_EQ(types(ada), Words{"presence"});
}

// ---- followers (PR-6) ----

TEST_F(PresenceTest, AFollowerIsToldWhereverItIsAndOnce) {
  const Connection follower = watcher(chunks(0, 0, 2, 2)), other = watcher(chunks(0, 0, 2, 2), "bob");
  out.asked.clear();
  say(follower, R"({"type":"follow","session":"7"})");
  ASSERT_EQ(out.asked.size(), 1u);
  EXPECT_EQ(out.asked[0].only, SessionId{7});
  EXPECT_FALSE(out.asked[0].area);
  home.presence(seen_at(SessionId{7}, {3000, 4}, {one(93, 0)}));  // watched by nobody
  home.presence(seen_at(SessionId{8}, {3000, 4}, {one(93, 0)}));  // followed by nobody
  EXPECT_EQ(types(follower), Words{"presence"});
  EXPECT_TRUE(told(other).empty());
  home.presence(seen_at(SessionId{7}, {3, 4}, {one(0, 0), one(93, 0)}));
  EXPECT_EQ(types(follower), Words{"presence"});
  EXPECT_EQ(types(other), Words{"presence"});
}

TEST_F(PresenceTest, WhoBeginsToFollowIsToldTheNewestOfThatSessionAlone) {
  const Connection ada = enter(), bob = enter("bob"), follower = enter("eve");
  move(ada, 1);
  move(bob, 2);
  out.asked.clear();
  say(follower, R"({"type":"follow","session":"1002"})");
  ASSERT_EQ(out.asked.size(), 1u);
  home.presence_asked(out.asked[0]);
  ASSERT_EQ(out.notes_to.size(), 1u);
  EXPECT_EQ(out.notes_to[0].second->session, SessionId{1002});
}

TEST_F(PresenceTest, FollowingEndsWithTheNextOneWithZeroAndWithTheConnection) {
  const Connection one_follower = enter(), gone = enter("bob");
  const auto moves = [&](std::uint64_t session) {
    home.presence(seen_at(SessionId{session}, {3000, 4}, {one(93, 0)}));
    return types(one_follower).size();
  };
  say(gone, R"({"type":"follow","session":"7"})");
  say(one_follower, R"({"type":"follow","session":"7"})");
  home.disconnected(gone);
  EXPECT_EQ(moves(7), 1u);
  say(one_follower, R"({"type":"follow","session":"8"})");
  EXPECT_EQ(moves(7), 0u);
  EXPECT_EQ(moves(8), 1u);
  out.asked.clear();
  say(one_follower, R"({"type":"follow","session":"0"})");
  EXPECT_EQ(moves(8), 0u);
  EXPECT_TRUE(out.asked.empty());
}

TEST_F(PresenceTest, AFollowerInTheBinaryFormIsToldInIt) {
  const Connection binary = enter("eve", proto::Form::binary);
  say_binary(binary, proto::Follow{SessionId{7}});
  home.presence(seen_at(SessionId{7}, {3000, 4}, {one(93, 0)}));
  EXPECT_EQ(types(binary), Words{"presence"});
}

TEST_F(PresenceTest, NobodyIsFollowedWithoutAWorld) {
  const Connection lobby = connect();
  say(lobby, R"({"type":"follow","session":"7"})");
  EXPECT_EQ(code(lobby), "bad_message");
}

}  // namespace
}  // namespace terrazzo::session

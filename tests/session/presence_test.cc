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
      EXPECT_EQ(out.notes.back().cursor, (map::CellPos{ms, 0}));
    }
  }
  EXPECT_GE(out.notes.size(), 29u);
  EXPECT_LE(out.notes.size(), 31u);  // the first one at once
  // Who stops moving is seen where it stopped.
  const std::uint64_t due = home.next_tick_ns();
  ASSERT_LT(due, kStart + 1100 * kMs);
  home.tick(due);
  EXPECT_EQ(out.notes.back().cursor, (map::CellPos{999, 0}));
  EXPECT_EQ(home.next_tick_ns(), UINT64_MAX);
}

TEST_F(PresenceTest, APartThatIsAbsentStaysAsItWas) {  // PR-1
  const Connection ada = enter();
  say(ada, R"({"type":"presence","cursor":[1,2],"viewport":[0,0,10,10],"tool":"brush"})");
  say(ada, R"({"type":"presence","cursor":[3,4],"selection":[5,5,2,2]})");
  home.tick(kStart);
  ASSERT_EQ(out.notes.size(), 1u);
  EXPECT_EQ(out.notes[0].world, kIsland);
  EXPECT_EQ(out.notes[0].session, SessionId{1001});
  EXPECT_EQ(out.notes[0].cursor, (map::CellPos{3, 4}));
  EXPECT_EQ(out.notes[0].viewport, map::Rect::of_size(0, 0, 10, 10));
  EXPECT_EQ(out.notes[0].selection, map::Rect::of_size(5, 5, 2, 2));
  EXPECT_EQ(out.notes[0].tool, "brush");
  EXPECT_EQ(out.notes[0].name, "ada");  // who says no name is called as the token says
  EXPECT_NE(out.notes[0].color, 0u);
  EXPECT_FALSE(out.notes[0].left);
  say(ada, R"({"type":"presence","cursor":[9,9]})");
  home.tick(home.next_tick_ns());
  ASSERT_EQ(out.notes.size(), 2u);
  EXPECT_EQ(out.notes[1].cursor, (map::CellPos{9, 9}));
  EXPECT_EQ(out.notes[1].viewport, out.notes[0].viewport);
  EXPECT_EQ(out.notes[1].selection, out.notes[0].selection);
  EXPECT_EQ(out.notes[1].tool, "brush");
}

TEST_F(PresenceTest, ItGoesToTheOthersInTheWorld) {  // PR-2, PR-3
  const Connection ada = enter(), bob = enter("bob"), lobby = connect();
  PresenceNote note{kIsland, SessionId{1001}, "Ada", 0x3CB44B, map::CellPos{-3, 4}, {}, {}, "brush", false};
  home.presence(note);
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(told(bob), (std::vector{json{{"type", "presence"},
                                         {"session", "1001"},
                                         {"name", "Ada"},
                                         {"color", "#3cb44b"},
                                         {"cursor", {-3, 4}},
                                         {"tool", "brush"}}}));
  EXPECT_TRUE(told(lobby).empty());
  note.left = true;
  home.presence(note);
  EXPECT_EQ(told(bob), (std::vector{json{{"type", "left"}, {"session", "1001"}}}));
  note.world = WorldId{18};
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
  EXPECT_TRUE(out.notes[1].left);
  EXPECT_EQ(out.notes[1].session, SessionId{1001});
}

TEST_F(PresenceTest, ANewcomerLearnsWhereTheOthersAre) {
  const Connection ada = enter();
  move(ada, 1);
  out.asked.clear();
  const Connection bob = enter("bob");
  ASSERT_EQ(out.asked.size(), 1u);
  const auto [world, newcomer] = out.asked[0];
  EXPECT_EQ(newcomer.session, SessionId{1002});
  home.presence_asked(world, newcomer);
  ASSERT_EQ(out.notes_to.size(), 1u);  // Ada's; Bob has none, and is not told of himself
  EXPECT_EQ(out.notes_to[0].second.session, SessionId{1001});
  home.presence_for(newcomer, out.notes_to[0].second);
  EXPECT_EQ(types(bob), Words{"presence"});
  EXPECT_TRUE(told(ada).empty());
  // Who comes back before the old connection is gone is not told of it.
  home.presence_asked(world, {SessionId{1001}, 9, 9, kCore});
  EXPECT_EQ(out.notes_to.size(), 1u);
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

}  // namespace
}  // namespace terrazzo::session

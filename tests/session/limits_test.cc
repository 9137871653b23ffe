// What a connection and a user may do in a second, and hold at a time (ED-9, SUB-6 of PROTOCOL.md).
#include "home_test.h"

namespace terrazzo::session {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

class LimitsTest : public HomeTest {
 protected:
  LimitsTest() { home_limited.set_time(100 * kSecond); }
  SessionLimits limited() {
    SessionLimits small = small_limits();
    small.wire.edits_in_flight_max = 100;
    small.edits = {3, 3};
    small.cells = {100, 100};
    small.user_edits = {5, 5};
    small.claims = {2, 2};
    small.subscribed_chunks_max = 100;
    return small;
  }
  Connection come(std::string_view token = "ada", const std::string& resume = {}) {
    const Connection connection{slot_, 40 + slot_};
    ++slot_;
    home_limited.connected(connection, proto::Form::json);
    json hello{{"type", "hello"}, {"protocol", 1}, {"token", token}};
    if (!resume.empty()) hello["resume"] = {{"session", resume}, {"incarnation", 4}};
    tell(connection, hello);
    tell(connection, {{"type", "open"}, {"world", "island"}});
    (void)told(connection);
    return connection;
  }
  void tell(Connection connection, const json& message) {
    const std::string text = message.dump();
    home_limited.message(connection, std::as_bytes(std::span(text)));
  }
  // Fills `cells` cells in a row; what it was rejected with, empty: it went on.
  std::string edit_of(Connection connection, std::uint64_t cells = 1) {
    const std::size_t before = out.edits.size();
    tell(connection, {{"type", "edit"},
                      {"id", ++id_},
                      {"ops", {{{"op", "fill"}, {"layer", 1}, {"rect", {0, 0, cells, 1}}, {"cell", 7}}}}});
    if (out.edits.size() == before + 1) return "";
    return code(connection);
  }

  SessionLimits own_limits = limited();
  Home home_limited{kCore, own_limits, directory, out};
  std::uint32_t slot_ = 500;
  std::uint64_t id_ = 0;
};

TEST_F(LimitsTest, EditsOfAConnection) {  // ED-9
  const Connection ada = come(), bob = come("bob");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(edit_of(ada), "");
  EXPECT_EQ(edit_of(ada), "rate_limited");
  EXPECT_EQ(edit_of(bob), "") << "another connection";
  home_limited.set_time(100 * kSecond + kSecond / 3 + 1);
  EXPECT_EQ(edit_of(ada), "");
  EXPECT_EQ(edit_of(ada), "rate_limited");
  EXPECT_EQ(home_limited.counters().rejects_by_code[static_cast<std::size_t>(ErrorCode::rate_limited)], 2u);
}

TEST_F(LimitsTest, CellsOfAConnection) {
  const Connection ada = come();
  EXPECT_EQ(edit_of(ada, 60), "");
  EXPECT_EQ(edit_of(ada, 60), "rate_limited");
  home_limited.set_time(102 * kSecond);
  EXPECT_EQ(edit_of(ada, 5000), "") << "more than a second's worth takes the full bucket";
  EXPECT_EQ(edit_of(ada, 1), "rate_limited");
}

TEST_F(LimitsTest, EditsOfAUserOverHisConnections) {
  directory.budget = std::make_shared<UserBudget>();
  const Connection one = come(), two = come();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(edit_of(one), "");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(edit_of(two), "");
  EXPECT_EQ(edit_of(two), "rate_limited");
}

TEST_F(LimitsTest, WhatIsSentAgainAfterALostConnectionIsFree) {  // RS-3
  const Connection ada = come();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(edit_of(ada), "");
  home_limited.disconnected(ada);
  const Connection again = come("ada", "secret-1001");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(edit_of(again), "") << i;
  out.edits.clear();
  EXPECT_EQ(edit_of(again), "overloaded");  // as many as may wait for their answers
}

TEST_F(LimitsTest, ClaimsOfAConnection) {
  const Connection ada = come();
  const json claim{{"type", "claim"}, {"claim", 1}, {"rect", {0, 0, 1, 1}}};
  tell(ada, claim);
  tell(ada, {{"type", "release"}, {"claim", 1}});
  EXPECT_EQ(out.claims.size(), 2u);
  tell(ada, claim);
  EXPECT_EQ(code(ada), "rate_limited");
  tell(ada, {{"type", "release"}, {"claim", 1}});
  EXPECT_EQ(code(ada), "rate_limited");
  EXPECT_EQ(out.claims.size(), 2u);
}

TEST_F(LimitsTest, ChunksOfAllSubscriptionsTogether) {  // SUB-6
  const Connection ada = come();
  const auto subscribe = [&](std::uint32_t sub, std::uint32_t width) {
    tell(ada, {{"type", "subscribe"}, {"sub", sub}, {"rect", {0, 0, 32 * width, 32}}, {"layers", {1}}});
  };
  subscribe(1, 60);
  EXPECT_EQ(out.requests.size(), 1u);
  subscribe(2, 41);
  EXPECT_EQ(code(ada), "too_large");
  EXPECT_EQ(out.requests.size(), 1u);
  subscribe(1, 40);  // instead of the one before
  subscribe(2, 60);
  EXPECT_EQ(out.requests.size(), 3u);
}

}  // namespace
}  // namespace terrazzo::session

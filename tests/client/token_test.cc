// Tokens of the program: renewed while connected, and when the old one has ended (HS-6).
#include <gtest/gtest.h>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

constexpr std::uint16_t kPolicy = 1008;

class TokenTest : public SyncMachineTest {
 protected:
  void refuse() {
    machine.received(proto::ErrorMessage{ErrorCode::unauthenticated, "in words", {}}, 1000);
    machine.disconnected(kPolicy, "unauthenticated");
  }
  void come_back() {
    welcome(9, 1, true);
    machine.received(proto::WorldInfo{kWorld}, 1000);
    ASSERT_EQ(machine.state(), State::live);
  }
  using Words = std::vector<std::string>;
};

TEST_F(TokenTest, ANewerOneIsSaidAtOnceAndInTheNextHello) {
  machine.set_token("first");
  go_live();
  EXPECT_EQ(out.hellos, Words{"first"});
  machine.set_token("second");
  EXPECT_EQ(out.tokens, Words{"second"});
  machine.set_token("second");
  EXPECT_EQ(out.tokens, Words{"second"});
  lose();
  machine.set_token("third");
  EXPECT_EQ(out.tokens, Words{"second"});
  come_back();
  EXPECT_EQ(out.hellos, (Words{"first", "third"}));
  EXPECT_EQ(out.tokens, Words{"second"});
}

TEST_F(TokenTest, OneThatComesDuringTheGreetingFollowsIt) {
  machine.set_token("first");
  machine.connecting();
  machine.connected(1000);
  machine.set_token("second");
  EXPECT_TRUE(out.tokens.empty());
  proto::Welcome message;
  message.session = SessionId{9};
  machine.received(message, 1000);
  EXPECT_EQ(out.tokens, Words{"second"});
}

TEST_F(TokenTest, TheProgramIsToldThatItEnds) {
  go_live();
  machine.received(proto::Expires{60'000}, 1000);
  ASSERT_EQ(out.count<TokenExpires>(), 1u);
  EXPECT_EQ(std::get<TokenExpires>(out.events.back()).in_ms, 60'000u);
  out.callback = [&](const Event& event) {
    if (std::holds_alternative<TokenExpires>(event)) machine.set_token("newer");
  };
  machine.received(proto::Expires{30'000}, 1000);
  EXPECT_EQ(out.tokens, Words{"newer"});
}

TEST_F(TokenTest, AfterItHasEndedTheSessionGoesOnWithANewerOne) {
  machine.set_token("first");
  go_live();
  const EditId edit = paint(1, 7);
  refuse();
  EXPECT_EQ(machine.state(), State::failed);
  EXPECT_EQ(machine.last_error()->code, ErrorCode::unauthenticated);
  machine.set_token("second");
  come_back();
  EXPECT_EQ(out.resumes, "token");
  EXPECT_EQ(out.hellos.back(), "second");
  EXPECT_EQ(out.edits, (std::vector<std::uint64_t>{edit.value, edit.value}));
  EXPECT_FALSE(machine.held().rejection(edit));
}

TEST_F(TokenTest, ANewerOneThatTheServerHasNotHeardOfIsTriedAtOnce) {
  machine.set_token("first");
  machine.connecting();
  machine.connected(1000);
  machine.set_token("second");
  refuse();
  EXPECT_EQ(machine.state(), State::waiting);
  EXPECT_EQ(machine.retry_in_ms(), 0u);
}

// A refused hello may be about the session or about the token. If it is the token, the session is not to be lost for
// it.
TEST_F(TokenTest, ASessionOutlivesATokenThatEndedWhileTheConnectionWasLost) {
  machine.set_token("first");
  go_live();
  const EditId edit = paint(1, 7);
  lose();
  machine.connecting();
  machine.connected(1000);
  EXPECT_EQ(out.resumes, "token");
  refuse();
  EXPECT_EQ(machine.state(), State::waiting);
  machine.connecting();
  machine.connected(1000);
  EXPECT_EQ(out.resumes, "");  // perhaps it was the session
  refuse();
  EXPECT_EQ(machine.state(), State::failed);  // it was not
  machine.set_token("second");
  come_back();
  EXPECT_EQ(out.resumes, "token");
  EXPECT_FALSE(machine.held().rejection(edit));
}

TEST_F(TokenTest, TheRoleIsThatOfTheWorld) {
  ASSERT_TRUE(machine.open("w").ok());
  machine.connecting();
  machine.connected(1000);
  proto::Welcome message;
  message.session = SessionId{9};
  message.role = "viewer";
  machine.received(message, 1000);
  EXPECT_EQ(machine.role(), "viewer");
  machine.received(proto::WorldInfo{kWorld, "owner"}, 1000);
  EXPECT_EQ(machine.role(), "owner");
  machine.received(proto::WorldInfo{kWorld, "editor"}, 1000);
  EXPECT_EQ(machine.role(), "editor");
}

TEST_F(TokenTest, ARenamedWorldIsAskedForByItsNewName) {  // HS-4
  go_live();
  std::string renamed = kWorld;
  renamed.replace(renamed.find("\"w\""), 3, "\"v\"");
  machine.received(proto::WorldInfo{renamed}, 1000);
  EXPECT_EQ(machine.world()->name, "v");
  lose();
  welcome(9, 1, true);
  EXPECT_EQ(out.opened.back(), "v");
}

}  // namespace
}  // namespace terrazzo::client

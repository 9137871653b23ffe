// CH of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

class ChatTest : public HomeTest {
 protected:
  static SharedChat line(std::string_view text, WorldId world = kIsland) {
    boost::intrusive_ptr<ChatNote> note(new ChatNote);
    note->world = world;
    note->session = SessionId{1001};
    note->name = "ada";
    note->text = text;
    return note;
  }
};

TEST_F(ChatTest, ALineGoesToEveryCoreWithWhoSaidIt) {  // CH-1
  const Connection ada = enter();
  say(ada, R"({"type":"chat","text":"Größe 🗺"})");
  ASSERT_EQ(out.chats.size(), 1u);
  EXPECT_EQ(out.chats[0]->world, kIsland);
  EXPECT_EQ(out.chats[0]->session, SessionId{1001});
  EXPECT_EQ(out.chats[0]->name, "ada");
  EXPECT_EQ(out.chats[0]->text, "Größe 🗺");
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(home.counters().chats, 1u);
}

TEST_F(ChatTest, EverybodyInTheWorldIsToldWhoSaidItIncluded) {  // CH-1
  const Connection ada = enter(), bob = enter("bob"), lobby = connect();
  home.chat(line("hello"));
  for (const Connection each : {ada, bob})
    EXPECT_EQ(told(each),
              (std::vector{json{{"type", "chat"}, {"session", "1001"}, {"name", "ada"}, {"text", "hello"}}}));
  EXPECT_TRUE(told(lobby).empty());
  home.chat(line("elsewhere", WorldId{12345}));
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(home.counters().chat_deliveries, 2u);
}

TEST_F(ChatTest, WhoDoesNotReadInTimeMissesIt) {  // CH-2
  const Connection ada = enter(), bob = enter("bob");
  out.full.push_back(bob);
  home.chat(line("hello"));
  EXPECT_EQ(types(ada), Words{"chat"});
  EXPECT_TRUE(told(bob).empty());
  EXPECT_EQ(home.counters().chats_left_out, 1u);
  out.full.clear();
  home.chat(line("again"));
  EXPECT_EQ(types(bob), Words{"chat"});
}

TEST_F(ChatTest, ItIsBoundedInLengthAndRate) {  // CH-3
  const Connection ada = enter();
  say(ada, json{{"type", "chat"}, {"text", std::string(1025, 'x')}}.dump());
  EXPECT_EQ(code(ada), "bad_message");
  say(ada, json{{"type", "chat"}, {"text", std::string(1024, 'x')}}.dump());
  EXPECT_EQ(out.chats.size(), 1u);
  SessionLimits slow = limits;
  slow.chats = {2, 2};
  Home other{kCore, slow, directory, out};
  const Connection bob{77, 1};
  other.connected(bob, proto::Form::json);
  const auto tell = [&](std::string_view text) { other.message(bob, std::as_bytes(std::span(text))); };
  tell(R"([{"type":"hello","protocol":1,"token":"bob"},{"type":"open","world":"island"}])");
  EXPECT_EQ(types(bob), (Words{"welcome", "world"}));
  for (int i = 0; i < 3; ++i) tell(R"({"type":"chat","text":"hello"})");
  EXPECT_EQ(out.chats.size(), 3u);
  EXPECT_EQ(code(bob), "rate_limited");
}

TEST_F(ChatTest, BeforeAWorldIsOpenThereIsNobodyToHearIt) {
  const Connection nobody = connect();
  say(nobody, R"({"type":"chat","text":"hello"})");
  EXPECT_EQ(code(nobody), "bad_message");
  EXPECT_TRUE(out.chats.empty());
}

}  // namespace
}  // namespace terrazzo::session

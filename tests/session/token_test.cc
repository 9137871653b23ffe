// Roles by world, and tokens that end while a session lives: HS-2, HS-3, HS-4 and HS-6 of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

class Tokens : public HomeTest {
 protected:
  // A token of ada's with these roles ("island": the only world there is) that ends at this second (0: never).
  void give(const std::string& token, std::initializer_list<std::pair<const char*, std::optional<Role>>> roles,
            std::uint64_t ends_s = 0) {
    Identity identity{"ada", {}};
    for (const auto& [world, role] : roles) identity.roles.set(world, role);
    if (ends_s != 0) identity.ends_ns = ends_s * kSecond;
    directory.tokens[token] = identity;
  }
  void at(std::uint64_t second) { home.tick(second * kSecond); }
  void bring(Connection connection, const std::string& token) {
    say(connection, json{{"type", "token"}, {"token", token}}.dump());
  }
  static json expires(std::uint64_t in_ms) { return {{"type", "expires"}, {"in_ms", in_ms}}; }
  static json ended() { return {{"type", "close"}, {"code", 1008}, {"reason", "unauthenticated"}}; }
};

TEST_F(Tokens, TheRoleIsThatOfTheWorldThatIsOpen) {  // HS-2, HS-3
  give("by name", {{"island", Role::owner}, {"*", Role::viewer}});
  give("by id", {{"17", Role::editor}});
  give("everywhere", {{"*", Role::editor}});
  for (const auto& [token, welcomed, role] :
       {std::tuple("by name", "viewer", "owner"), {"by id", "", "editor"}, {"everywhere", "editor", "editor"}}) {
    const Connection ada = connect();
    say(ada, json{{"type", "hello"}, {"token", token}}.dump());
    EXPECT_EQ(told(ada).at(0).value("role", ""), welcomed) << token;
    say(ada, R"({"type":"open","world":"island"})");
    EXPECT_EQ(told(ada).at(0).at("role"), role) << token;
  }
}

TEST_F(Tokens, AWorldWithoutARoleStaysShut) {  // HS-3
  give("elsewhere", {{"atlantis", Role::owner}});
  give("shut out", {{"*", Role::owner}, {"island", std::nullopt}});
  for (const char* token : {"elsewhere", "shut out"}) {
    const Connection ada = connect();
    say(ada, json{{"type", "hello"}, {"token", token}}.dump());
    told(ada);
    for (const char* name : {"island", "17"}) {
      say(ada, json{{"type", "open"}, {"world", name}}.dump());
      EXPECT_EQ(code(ada), "forbidden") << token;
    }
    subscribe(ada, 1, chunks(0, 0, 1, 1));
    EXPECT_EQ(code(ada), "bad_message");  // no world is open
    EXPECT_TRUE(out.requests.empty());
  }
}

TEST_F(Tokens, AViewerOfThisWorldEditsNothingWhateverHeMayElsewhere) {
  give("viewer here", {{"island", Role::viewer}, {"*", Role::owner}});
  const Connection ada = enter("viewer here");
  edit(ada, 1);
  EXPECT_EQ(code(ada), "forbidden");
  EXPECT_TRUE(out.edits.empty());
}

TEST_F(Tokens, OneThatEndsIsToldOfAMinuteBeforeAndThenCloses) {  // HS-6
  give("short", {{"*", Role::editor}}, 300);
  const Connection ada = enter("short"), bob = enter("bob");
  EXPECT_EQ(home.next_tick_ns(), 240 * kSecond);
  at(239);
  EXPECT_TRUE(told(ada).empty());
  at(240);
  EXPECT_EQ(told(ada), std::vector<json>{expires(60'000)});
  EXPECT_EQ(home.next_tick_ns(), 300 * kSecond);
  at(299);
  EXPECT_TRUE(told(ada).empty());
  at(300);
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("code"), "unauthenticated");
  EXPECT_EQ(messages[1], ended());
  EXPECT_EQ(home.counters().tokens_ended, 1u);
  home.disconnected(ada);
  at(1000);
  EXPECT_TRUE(told(bob).empty());
}

TEST_F(Tokens, OneThatEndsSoonIsToldOfRightAfterTheWelcome) {  // HS-6
  home.set_time(100 * kSecond);
  give("short", {{"*", Role::editor}}, 130);
  const Connection ada = connect();
  say(ada, R"({"type":"hello","token":"short"})");
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("type"), "welcome");
  EXPECT_EQ(messages[1], expires(30'000));
  at(130);
  EXPECT_EQ(types(ada), (Words{"error", "close"}));
}

TEST_F(Tokens, ANewerOneTakesItsPlace) {  // HS-6
  give("short", {{"*", Role::editor}}, 300);
  give("longer", {{"*", Role::editor}}, 900);
  give("for ever", {{"*", Role::editor}});
  const Connection ada = enter("short");
  at(240);
  told(ada);
  bring(ada, "longer");
  EXPECT_EQ(told(ada), std::vector<json>{expires(660'000)});
  at(300);
  EXPECT_TRUE(told(ada).empty());
  at(840);
  EXPECT_EQ(told(ada), std::vector<json>{expires(60'000)});
  bring(ada, "for ever");
  EXPECT_EQ(told(ada), std::vector<json>{json({{"type", "expires"}})});
  at(100'000);
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(home.counters().tokens_renewed, 2u);
  edit(ada, 1);
  EXPECT_EQ(out.edits.size(), 1u);
}

TEST_F(Tokens, ANewerOneThatEndsSoonIsAnsweredOnce) {
  give("short", {{"*", Role::editor}}, 300);
  give("hardly longer", {{"*", Role::editor}}, 310);
  const Connection ada = enter("short");
  at(290);
  told(ada);
  bring(ada, "hardly longer");
  EXPECT_EQ(told(ada), std::vector<json>{expires(20'000)});
  at(309);
  EXPECT_TRUE(told(ada).empty());
  at(310);
  EXPECT_EQ(types(ada), (Words{"error", "close"}));
}

TEST_F(Tokens, ANewerOneThatIsNotTakenChangesNothing) {  // HS-6
  give("short", {{"*", Role::editor}}, 300);
  give("elsewhere", {{"atlantis", Role::owner}});
  const Connection ada = enter("short");
  bring(ada, "mallory");
  EXPECT_EQ(code(ada), "unauthenticated");
  bring(ada, "bob");
  EXPECT_EQ(code(ada), "conflict");
  bring(ada, "elsewhere");
  EXPECT_EQ(code(ada), "forbidden");
  edit(ada, 1);
  EXPECT_EQ(out.edits.size(), 1u);
  EXPECT_EQ(home.next_tick_ns(), 240 * kSecond);
  EXPECT_EQ(home.counters().tokens_renewed, 0u);
}

TEST_F(Tokens, TheRolesOfTheNewerOneCountAtOnce) {  // HS-4, HS-6
  give("viewer", {{"island", Role::viewer}});
  give("owner", {{"island", Role::owner}});
  const Connection ada = enter("viewer");
  bring(ada, "owner");
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], json({{"type", "expires"}}));
  EXPECT_EQ(messages[1].at("type"), "world");
  EXPECT_EQ(messages[1].at("role"), "owner");
  edit(ada, 1);
  EXPECT_EQ(out.edits.size(), 1u);
  bring(ada, "viewer");
  EXPECT_EQ(types(ada), (Words{"expires", "world"}));
  edit(ada, 2);
  EXPECT_EQ(code(ada), "forbidden");
}

TEST_F(Tokens, TheyAreNotJudgedAsOftenAsSomebodyLikes) {
  const Connection ada = enter();
  for (int i = 0; i < 4; ++i) {
    bring(ada, "ada");
    EXPECT_EQ(types(ada), Words{"expires"});
  }
  bring(ada, "ada");
  EXPECT_EQ(code(ada), "rate_limited");
  home.set_time(kSecond);
  bring(ada, "ada");
  EXPECT_EQ(types(ada), Words{"expires"});
}

TEST_F(Tokens, BeforeHelloThereIsNothingToRenew) {
  const Connection stranger = connect();
  bring(stranger, "ada");
  EXPECT_EQ(code(stranger), "bad_message");
}

TEST_F(Tokens, AConnectionThatIsGoneIsNotWaitedFor) {
  give("short", {{"*", Role::editor}}, 300);
  const Connection ada = enter("short");
  home.disconnected(ada);
  EXPECT_EQ(home.next_tick_ns(), ~std::uint64_t{0});
  const Connection bob{ada.slot, ada.generation + 1};  // the slot's next connection
  home.connected(bob, proto::Form::json);
  at(1000);
  EXPECT_TRUE(told(bob).empty());
}

TEST_F(Tokens, WhereAWorldIsRenamedTheRoleIsThatOfItsNewName) {  // HS-4
  give("both", {{"island", Role::viewer}, {"peninsula", Role::owner}});
  give("old", {{"island", Role::owner}});
  const Connection both = enter("both"), old = enter("old"), binary = enter("both", proto::Form::binary),
                   bob = enter("bob");
  auto renamed = island();
  renamed->name = "peninsula";
  home.world_changed(renamed);
  const std::vector<json> to_both = told(both), to_old = told(old), to_bob = told(bob);
  ASSERT_EQ(to_both.size(), 1u);
  EXPECT_EQ(to_both[0].at("role"), "owner");
  EXPECT_EQ(types(binary), Words{"world"});
  ASSERT_EQ(to_bob.size(), 1u);
  EXPECT_EQ(to_bob[0].at("role"), "editor");
  ASSERT_EQ(to_old.size(), 2u);
  EXPECT_EQ(to_old[0].at("code"), "forbidden");
  EXPECT_EQ(to_old[1], (json{{"type", "close"}, {"code", 1008}, {"reason", "forbidden"}}));
}

}  // namespace
}  // namespace terrazzo::session

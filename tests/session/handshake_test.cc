// The handshake, resuming and errors: HS, RS and ER of PROTOCOL.md.
#include "home_test.h"

namespace terrazzo::session {
namespace {

class Handshake : public HomeTest {};

TEST_F(Handshake, HelloIsAnsweredWithWelcomeAndOpenWithTheWorld) {  // HS-1, HS-2, HS-3
  const Connection ada = connect();
  say(ada, R"({"type":"hello","protocol":1,"token":"ada"})");
  const json welcome = told(ada).at(0);
  EXPECT_EQ(welcome.at("type"), "welcome");
  EXPECT_EQ(welcome.at("session"), "1001");
  EXPECT_EQ(welcome.at("resume"), "secret-1001");
  EXPECT_EQ(welcome.at("incarnation"), 4);
  EXPECT_EQ(welcome.at("user"), "ada");
  EXPECT_EQ(welcome.at("role"), "editor");
  EXPECT_EQ(welcome.at("limits").at("edits_in_flight_max"), 4);
  EXPECT_EQ(welcome.at("resumed"), false);
  ASSERT_EQ(out.speakers.size(), 1u);
  EXPECT_EQ(out.speakers[0].first, SessionId{1001});

  say(ada, R"({"type":"open","world":"island"})");
  const json world = told(ada).at(0);
  EXPECT_EQ(world.at("type"), "world");
  EXPECT_EQ(world.at("world").at("name"), "island");
}

TEST_F(Handshake, WhatComesBeforeItsTimeIsRefusedAndTheConnectionLivesOn) {  // HS-1, ER-2
  const Connection ada = connect();
  for (const char* early : {R"({"type":"open","world":"island"})", R"({"type":"subscribe","sub":1,"rect":[0,0,1,1]})",
                            R"({"type":"unsubscribe","sub":1})", R"({"type":"presence","cursor":[1,2]})",
                            R"({"type":"edit","id":1,"ops":[{"op":"set","layer":1,"x":0,"y":0,"cells":[7]}]})"}) {
    say(ada, early);
    EXPECT_EQ(code(ada), "bad_message") << early;
  }
  say(ada, R"({"type":"hello","token":"ada"})");
  EXPECT_EQ(types(ada), Words{"welcome"});
  edit(ada, 1);  // no world is open yet
  EXPECT_EQ(types(ada), Words{"reject"});
  subscribe(ada, 1, chunks(0, 0, 1, 1));
  EXPECT_EQ(code(ada), "bad_message");
  EXPECT_TRUE(out.edits.empty());
  EXPECT_TRUE(out.requests.empty());
}

TEST_F(Handshake, OtherProtocolsAndTokensAreClosed) {  // HS-1, HS-2
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"hello","protocol":2,"token":"ada"})", "unsupported"},
      {R"({"type":"hello","token":"mallory"})", "unauthenticated"},
      {R"({"type":"hello"})", "unauthenticated"},
      {R"({"type":"hello","token":"ada","resume":{"session":"secret-9","incarnation":4}})", "unauthenticated"}};
  for (const auto& [hello, expected] : cases) {
    const Connection stranger = connect();
    say(stranger, hello);
    const std::vector<json> messages = told(stranger);
    ASSERT_EQ(messages.size(), 2u) << hello;
    EXPECT_EQ(messages[0].at("type"), "error");
    EXPECT_EQ(messages[0].at("code"), expected);
    EXPECT_EQ(messages[1], (json{{"type", "close"}, {"code", 1008}, {"reason", expected}}));
  }
  EXPECT_TRUE(out.speakers.empty());
}

TEST_F(Handshake, HelloAndOpenAreForOnce) {
  const Connection ada = enter();
  say(ada, R"({"type":"hello","token":"ada"})");
  EXPECT_EQ(code(ada), "conflict");
  say(ada, R"({"type":"open","world":"island"})");
  EXPECT_EQ(code(ada), "conflict");
  EXPECT_EQ(out.speakers.size(), 1u);
}

TEST_F(Handshake, AWorldIsFoundByNameOrId) {  // HS-3
  const Connection ada = connect();
  say(ada, R"([{"type":"hello","token":"ada"},{"type":"open","world":"atlantis"}])");
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].at("code"), "not_found");
  say(ada, R"({"type":"open","world":"17"})");
  EXPECT_EQ(types(ada), Words{"world"});
}

TEST_F(Handshake, ChangedMetadataReachesThoseWhoHaveTheWorldOpenAndBindsThem) {  // HS-4
  const Connection ada = enter(), bob = enter("bob"), lobby = connect();
  auto changed = island();
  changed->name = "peninsula";
  changed->tilesets[0].tile_count = 5;
  home.world_changed(changed);
  for (const Connection c : {ada, bob}) {
    const std::vector<json> messages = told(c);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].at("world").at("name"), "peninsula");
  }
  EXPECT_TRUE(told(lobby).empty());
  edit(ada, 1);  // tile 7 is gone
  EXPECT_EQ(code(ada), "out_of_bounds");
}

TEST_F(Handshake, PingIsAnsweredAtAnyTime) {  // HS-5, FO-6
  const Connection ada = connect();
  say(ada, R"({"type":"ping","t":"18446744073709551615"})");
  EXPECT_EQ(told(ada).at(0), (json{{"type", "pong"}, {"t", "18446744073709551615"}}));
}

TEST_F(Handshake, AResumedSessionKeepsItsNumber) {  // RS-1
  const Connection first = enter();
  home.disconnected(first);
  ASSERT_EQ(out.silenced.size(), 1u);
  EXPECT_EQ(out.silenced[0].first, SessionId{1001});

  const Connection second = connect();
  say(second, R"([{"type":"hello","token":"ada","resume":{"session":"secret-1001","incarnation":4}},
                  {"type":"open","world":"island"}])");
  const json welcome = told(second).at(0);
  EXPECT_EQ(welcome.at("session"), "1001");
  EXPECT_EQ(welcome.at("resumed"), true);
  edit(second, 6);
  ASSERT_EQ(out.edits.size(), 1u);
  EXPECT_EQ(out.edits[0]->origin.session, SessionId{1001});
  EXPECT_EQ(out.edits[0]->origin.connection_slot, second.slot);
  EXPECT_EQ(out.edits[0]->origin.connection_generation, second.generation);
  EXPECT_EQ(out.edits[0]->origin.core, kCore);
}

TEST_F(Handshake, ASupersededConnectionIsToldAndClosed) {  // RS-4
  const Connection first = enter(), second = connect();
  say(second, R"({"type":"hello","token":"ada","resume":{"session":"secret-1001","incarnation":4}})");
  ASSERT_EQ(out.speakers.size(), 2u);
  EXPECT_EQ(out.speakers[1], (std::pair{SessionId{1001}, second}));
  home.superseded(first);
  const std::vector<json> messages = told(first);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("code"), "conflict");
  EXPECT_EQ(messages[1], (json{{"type", "close"}, {"code", 1008}, {"reason", "conflict"}}));
  EXPECT_EQ(types(second), Words{"welcome"});
}

TEST_F(Handshake, APayloadThatIsNotItsFormClosesTheConnection) {  // ER-1
  const Connection ada = enter();
  say(ada, R"([{"type":"ping","t":1},{"type":"ping",)");
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 2u);  // none of its messages counts
  EXPECT_EQ(messages[0].at("code"), "bad_message");
  EXPECT_EQ(messages[1].at("code"), 1007);
}

TEST_F(Handshake, AWrongMessageIsAnsweredAndTheOthersOfThePayloadCount) {  // ER-2, FO-4
  const Connection ada = enter();
  say(ada, R"([{"type":"dance"},{"type":"subscribe","sub":1},{"type":"edit","id":5,"ops":7},{"type":"ping","t":1}])");
  const std::vector<json> messages = told(ada);
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].at("code"), "unknown_type");
  EXPECT_EQ(messages[1].at("type"), "error");
  EXPECT_EQ(messages[2].at("type"), "reject");
  EXPECT_EQ(messages[2].at("id"), 5);
  EXPECT_EQ(messages[3].at("type"), "pong");
}

TEST_F(Handshake, GoingAwayReachesEveryConnection) {  // BC-5
  const Connection ada = enter(), lobby = connect();
  home.going_away(2500);
  for (const Connection c : {ada, lobby})
    EXPECT_EQ(told(c).at(0), (json{{"type", "going_away"}, {"retry_after_ms", 2500}}));
}

TEST_F(Handshake, AConnectionThatIsGoneSaysAndHearsNothing) {
  const Connection ada = enter();
  edit(ada, 1);
  const shard::Origin origin = out.edits.at(0)->origin;
  home.disconnected(ada);
  EXPECT_EQ(home.session_count(), 0u);
  const Connection bob{ada.slot, ada.generation + 1};  // the slot's next connection
  home.connected(bob, proto::Form::json);
  say(bob, R"([{"type":"hello","token":"bob"},{"type":"open","world":"island"}])");
  say(ada, R"({"type":"ping","t":1})");
  home.disconnected(ada);
  home.superseded(ada);
  settle(origin, 1, {{0, 0}, Lsn{1}}, shard::EditOutcome::Stage::durable);
  EXPECT_TRUE(told(ada).empty());
  EXPECT_EQ(types(bob), (Words{"welcome", "world"}));
  EXPECT_EQ(home.session_count(), 1u);
}

}  // namespace
}  // namespace terrazzo::session

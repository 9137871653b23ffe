// Chat on a real server, in both forms (CH of PROTOCOL.md).
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"
#include "typed_peer.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";

class Chats : public testing::TestWithParam<proto::Form> {
 protected:
  void start(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--cores", "2"});
    server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
    make_world(server->port(), "w");
    make_world(server->port(), "other");
  }
  std::unique_ptr<TypedPeer> come(const std::string& world = "w") {
    auto peer = std::make_unique<TypedPeer>(server->port(), GetParam());
    peer->enter(world);
    return peer;
  }

  TemporaryFolder folder;
  std::unique_ptr<ServerProcess> server;
};

TEST_P(Chats, ReachEverybodyInTheWorldAndNobodyElse) {  // CH-1
  start();
  std::vector<std::unique_ptr<TypedPeer>> people;
  for (int i = 0; i < 4; ++i) people.push_back(come());
  const auto stranger = come("other");
  const auto client = enter(server->port(), "w", nullptr, GetParam());
  people[0]->say(proto::Chat{"Größe 🗺"});
  for (const auto& person : people) {
    const json said = person->next("chat");
    EXPECT_EQ(said["text"], "Größe 🗺");
    EXPECT_EQ(said["session"], std::to_string(people[0]->session()));
  }
  const auto heard = [&]() -> std::string {
    for (const client::Event& event : client->poll())
      if (const auto* said = std::get_if<client::Chatted>(&event)) return said->text;
    return {};
  };
  std::string text;
  EXPECT_TRUE(client->wait_until([&] { return !(text = heard()).empty(); }, 10s));
  EXPECT_EQ(text, "Größe 🗺");
  ASSERT_TRUE(client->chat("here").ok());
  EXPECT_TRUE(client->wait_until([&] { return !(text = heard()).empty(); }, 10s));
  EXPECT_EQ(text, "here");
  EXPECT_EQ(people[3]->next("chat")["text"], "here");
  for (const json& message : stranger->until_pong()) EXPECT_NE(message["type"], "chat");
  EXPECT_EQ(metric(server->port(), "terrazzo_chats_total"), 2);
  EXPECT_EQ(metric(server->port(), "terrazzo_chat_deliveries_total"), 10);
}

TEST_P(Chats, AreBounded) {  // CH-3
  start({"--chats-per-second", "2"});
  const auto ada = come();
  ada->say(proto::Chat{std::string(1025, 'x')});
  EXPECT_EQ(ada->next("error")["code"], "bad_message");
  const proto::Chat line{"hello"};
  const std::vector<proto::ClientMessage> many(5, line);
  ada->say(many);
  const json refused = ada->next("error");
  EXPECT_EQ(refused["code"], "rate_limited");
  EXPECT_NE(refused["message"].get<std::string>().find("2 lines"), std::string::npos);
  EXPECT_LE(metric(server->port(), "terrazzo_chats_total"), 3);
}

TEST_P(Chats, GoThroughTheCommandLine) {
  start();
  const auto ada = come();
  const Ran said = run_program(kCli, {"chat", "w", "hello there", "--as", "Bob", "--server", server->http_url()});
  EXPECT_EQ(said.exit_code, 0) << said.output;
  const json heard = ada->next("chat");
  EXPECT_EQ(heard["text"], "hello there");
  EXPECT_EQ(heard["name"], "Bob");
}

INSTANTIATE_TEST_SUITE_P(Forms, Chats, testing::Values(proto::Form::binary, proto::Form::json),
                         [](const auto& form) { return form.param == proto::Form::json ? "Json" : "Binary"; });

}  // namespace
}  // namespace terrazzo::integration

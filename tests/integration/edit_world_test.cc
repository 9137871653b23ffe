// Metadata that changes while people are in the world: HS-4.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"
#include "typed_peer.h"

namespace terrazzo::integration {
namespace {

using nlohmann::json;

class EditWorld : public testing::TestWithParam<proto::Form> {
 protected:
  EditWorld() { start(); }
  void start() {
    server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--cores", "2"});
  }
  std::uint16_t port() const { return server->port(); }
  HttpAnswer patch(const std::string& world, const json& what) {
    return http(port(), "PATCH", "/v1/worlds/" + world, what.dump());
  }
  json metadata(const std::string& world) {
    return json::parse(http(port(), "GET", "/v1/worlds/" + world).body, nullptr, false);
  }

  TemporaryFolder folder;
  std::unique_ptr<ServerProcess> server;
};

TEST_P(EditWorld, IsToldToAllWhoHaveItOpenAndOutlivesARestart) {
  make_world(port(), "island");
  ASSERT_EQ(http(port(), "POST", "/v1/worlds/island/branches", R"({"name":"festival"})").status, 201u);
  TypedPeer ada(port(), GetParam()), bob(port(), proto::Form::json), zoe(port(), GetParam());
  ada.enter("island");
  bob.enter("island");
  zoe.enter("island@festival");
  const HttpAnswer answer = patch("island", {{"name", "isle"}, {"layers", {{{"id", 1}, {"name", "Floor"}}}}});
  ASSERT_EQ(answer.status, 200u) << answer.body;
  for (TypedPeer* peer : {&ada, &bob}) {
    const json world = peer->next("world");
    EXPECT_EQ(world["world"]["name"], "isle");
    EXPECT_EQ(world["world"]["layers"][0]["name"], "Floor");
    EXPECT_EQ(world["role"], "owner");
  }
  EXPECT_EQ(zoe.next("world")["world"]["name"], "isle@festival");
  const map::Cell seven{7};
  const map::Op op{map::OpKind::set, 1, map::Rect::of_size(0, 0, 1, 1), {}, {}, {&seven, 1}};
  ada.say(map::Edit{EditId{1}, map::AckMode::durable, {&op, 1}, {}});
  EXPECT_TRUE(ada.next("ack").is_object());
  EXPECT_EQ(http(port(), "GET", "/v1/worlds/island").status, 404u);
  server->kill();
  start();
  EXPECT_EQ(metadata("isle")["layers"][0]["name"], "Floor");
  TypedPeer later(port(), GetParam());
  later.enter("isle@festival");
}

TEST_P(EditWorld, ARefusedOneChangesNothing) {
  make_world(port(), "island");
  make_world(port(), "atlantis");
  TypedPeer ada(port(), GetParam());
  ada.enter("island");
  const json before = metadata("island");
  const struct {
    std::string world;
    json what;
    unsigned status;
  } cases[] = {{"island", {{"name", "atlantis"}}, 409},
               {"island", {{"name", "a@b"}}, 400},
               {"island", {{"bounds", {0, 0, 1, 1}}}, 400},
               {"island", {{"layers", {{{"id", 9}, {"name", "x"}}}}}, 404},
               {"nowhere", {{"name", "x"}}, 404}};
  for (const auto& [world, what, status] : cases) EXPECT_EQ(patch(world, what).status, status) << what;
  EXPECT_EQ(metadata("island"), before);
  EXPECT_TRUE(ada.until_pong().empty());
  EXPECT_EQ(patch("island", {{"name", "x"}}).status, 200u);
  EXPECT_EQ(ada.next("world")["world"]["name"], "x");
}

TEST_P(EditWorld, IsMadeFromTheCommandLineToo) {
  make_world(port(), "island");
  const std::string terrazzo = TERRAZZO_BIN_DIR "/terrazzo";
  const Ran renamed = run_program(
      terrazzo, {"edit-world", "island", "--name", "isle", "--layer-name", "1=Floor", "--server", server->http_url()});
  EXPECT_EQ(renamed.exit_code, 0) << renamed.output;
  const Ran again =
      run_program(terrazzo, {"edit-world", "isle", "--tileset-name", "1=beach", "--server", server->http_url()});
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(metadata("isle")["layers"][0]["name"], "Floor");
  EXPECT_EQ(metadata("isle")["tilesets"][0]["name"], "beach");
  const Ran nothing = run_program(terrazzo, {"edit-world", "isle", "--server", server->http_url()});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_NE(nothing.output.find("--name"), std::string::npos) << nothing.output;
}

INSTANTIATE_TEST_SUITE_P(BothForms, EditWorld, testing::Values(proto::Form::json, proto::Form::binary));

}  // namespace
}  // namespace terrazzo::integration

// The client library and the programs over TLS: whom they believe, and what they say about others.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "terrazzo/client.h"
#include "tests/integration/server_process.h"
#include "tests/net/certificates.h"
#include "tests/net/tls_client.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
const std::string kTerrazzo = TERRAZZO_BIN_DIR "/terrazzo";

class TlsClients : public testing::Test {
 protected:
  TlsClients() {
    write(authority_.sign());
    net::write_text(ca_, authority_.ca_pem());
  }
  void write(const net::TestCertificate& certificate) {
    net::write_text(chain_, certificate.chain_pem);
    net::write_text(key_, certificate.key_pem);
  }
  static void make_world(std::uint16_t port) {
    net::TlsClient client(port);
    ASSERT_TRUE(client.handshake()) << client.problem();
    const std::string body =
        R"({"name": "demo", "tile_width": 16, "tile_height": 16, "layers": [{"id": 1, "kind": "tile", "name": "ground"}],)"
        R"("tilesets": [{"first_tile": 1, "tile_count": 64, "columns": 8, "tile_width": 16, "tile_height": 16,)"
        R"("name": "tiles"}]})";
    ASSERT_TRUE(client.send("POST /v1/worlds HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body));
    EXPECT_EQ(client.read_until("\r\n").value_or("nothing"), "HTTP/1.1 201 Created\r\n");
  }
  client::ConnectOptions options(const std::string& url) const {
    client::ConnectOptions made;
    made.url = url;
    made.tls.ca_file = ca_;
    return made;
  }
  // What keeps a client from being live.
  static std::string refusal(client::ConnectOptions options) {
    options.reconnect.enabled = false;
    client::Client client(options);
    if (const Status connected = client.connect(); !connected) return connected.error().message;
    EXPECT_TRUE(client.open("demo").ok());
    const Status live = client.wait_live(60s);
    return live.ok() ? "" : live.error().message;
  }

  TemporaryFolder folder_;
  net::TestAuthority authority_;
  const std::string data_ = (folder_.path() / "data").string(), chain_ = (folder_.path() / "chain.pem").string(),
                    key_ = (folder_.path() / "key.pem").string(), ca_ = (folder_.path() / "ca.pem").string();
};

TEST_F(TlsClients, PaintInBothFormsAndComeBackAfterARestart) {
  auto server =
      std::make_unique<ServerProcess>(data_, std::vector<std::string>{"--tls-cert", chain_, "--tls-key", key_});
  make_world(server->port());
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    client::ConnectOptions wish = options(server->websocket_url());
    wish.form = form;
    client::Client client(wish);
    ASSERT_TRUE(client.connect().ok());
    ASSERT_TRUE(client.open("demo").ok());
    const Status live = client.wait_live(60s);
    ASSERT_TRUE(live.ok()) << live.error().message;
    for (std::uint32_t i = 0; i < 20; ++i) {
      const auto edit = client.edit(client::EditDraft().set(1, {static_cast<std::int32_t>(i), 4}, map::Cell{i + 1}));
      ASSERT_TRUE(edit.ok()) << edit.error().message;
    }
    EXPECT_TRUE(client.wait_durable(60s));
    const std::uint16_t port = server->port();
    server.reset();
    server =
        std::make_unique<ServerProcess>(data_, std::vector<std::string>{"--tls-cert", chain_, "--tls-key", key_}, port);
    ASSERT_TRUE(server->running());
    EXPECT_TRUE(client.wait_until([&] { return client.statistics().connections == 2; }, 60s));
    const auto sub = client.subscribe(map::Rect::of_size(0, 0, 32, 32), {});
    ASSERT_TRUE(sub.ok());
    ASSERT_TRUE(client.wait_until([&] { return client.is_ready(*sub); }, 60s));
    EXPECT_EQ(client.read(1, {19, 4}), map::Cell{20});
  }
}

TEST_F(TlsClients, BelieveOnlyWhoProvesToBeTheHostAndSayWhatIsWrong) {
  const ServerProcess server(data_, {"--tls-cert", chain_, "--tls-key", key_});
  make_world(server.port());
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(refusal(options("wss://127.0.0.1:" + port)), "");
  EXPECT_EQ(refusal(options("https://localhost:" + port)), "");
  client::ConnectOptions trusting = options("wss://127.0.0.1:" + port);
  trusting.tls = {.ca_file = {}, .verify_peer = false};
  EXPECT_EQ(refusal(trusting), "");

  const net::TestAuthority stranger;
  net::write_text(folder_.path() / "stranger.pem", stranger.ca_pem());
  client::ConnectOptions wrong = options("wss://127.0.0.1:" + port);
  wrong.tls.ca_file = (folder_.path() / "stranger.pem").string();
  EXPECT_NE(refusal(wrong).find("not trusted"), std::string::npos) << refusal(wrong);
  wrong.tls.ca_file = "";  // no authority of the system has signed it
  EXPECT_NE(refusal(wrong).find("ca_file"), std::string::npos) << refusal(wrong);
  wrong.tls.ca_file = "/nowhere.pem";
  EXPECT_NE(refusal(wrong).find("/nowhere.pem"), std::string::npos) << refusal(wrong);
  const std::string plain = refusal(options("ws://127.0.0.1:" + port));
  EXPECT_NE(plain.find("wss://"), std::string::npos) << plain;
}

TEST_F(TlsClients, DoNotTakeTheCertificateOfAnotherHost) {
  write(authority_.sign({.name = "elsewhere.example", .loopback = false}));
  const ServerProcess server(data_, {"--tls-cert", chain_, "--tls-key", key_});
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const std::string said = refusal(options(std::string("wss://") + host + ":" + std::to_string(server.port())));
    EXPECT_NE(said.find(std::string("not for ") + host), std::string::npos) << said;
  }
  const Ran ran = run_program(kTerrazzo, {"worlds", "--server", server.http_url(), "--ca", ca_});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("mismatch"), std::string::npos) << ran.output;
}

TEST_F(TlsClients, ToldToSpeakTlsToAPortThatDoesNotSaySo) {
  const ServerProcess server(data_);
  const std::string said = refusal(options("wss://127.0.0.1:" + std::to_string(server.port())));
  EXPECT_NE(said.find("does not speak TLS"), std::string::npos) << said;
}

TEST_F(TlsClients, TheProgramsWork) {
  const ServerProcess server(data_, {"--tls-cert", chain_, "--tls-key", key_});
  make_world(server.port());
  const Ran worlds = run_program(kTerrazzo, {"worlds", "--server", server.http_url(), "--ca", ca_});
  EXPECT_EQ(worlds.exit_code, 0) << worlds.output;
  EXPECT_NE(worlds.output.find("demo"), std::string::npos) << worlds.output;
  const Ran paint =
      run_program(kTerrazzo, {"paint", "demo", "--rect", "0,0,4,4", "--tile", "2", "--server", server.http_url()},
                  {"TERRAZZO_CA=" + ca_});
  EXPECT_EQ(paint.exit_code, 0) << paint.output;
  const Ran distrustful = run_program(kTerrazzo, {"worlds", "--server", server.http_url()});
  EXPECT_EQ(distrustful.exit_code, 1);
  EXPECT_NE(distrustful.output.find("--ca"), std::string::npos) << distrustful.output;
  const Ran load =
      run_program(TERRAZZO_BIN_DIR "/terrazzo-load", {"--server", server.http_url(), "--ca", ca_, "--clients", "40",
                                                      "--seconds", "2", "--rate", "2", "--form", "mixed", "--verify"});
  EXPECT_EQ(load.exit_code, 0) << load.output;
  EXPECT_NE(load.output.find("40 replicas"), std::string::npos) << load.output;
}

}  // namespace
}  // namespace terrazzo::integration

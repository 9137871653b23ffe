#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "http_peer.h"
#include "server_process.h"

namespace terrazzo::integration {
namespace {

class Http : public testing::Test {
 protected:
  TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "data"};
};

TEST_F(Http, TellsThatItIsThere) {
  EXPECT_EQ(http(server_.port(), "GET", "/healthz").status, 200u);
  EXPECT_EQ(http(server_.port(), "GET", "/readyz").status, 200u);
  const HttpAnswer page = http(server_.port(), "GET", "/");
  EXPECT_EQ(page.status, 200u);
  EXPECT_NE(page.body.find("Terrazzo"), std::string::npos);
}

TEST_F(Http, MetricsCountEveryCore) {
  const HttpAnswer metrics = http(server_.port(), "GET", "/metrics");
  EXPECT_EQ(metrics.status, 200u);
  EXPECT_NE(metrics.body.find("terrazzo_http_requests_total{core=\"0\"}"), std::string::npos);
  EXPECT_NE(metrics.body.find("terrazzo_incarnation 1"), std::string::npos);
}

TEST_F(Http, AWorldIsMadeListedAndFoundAgainAfterARestart) {
  make_world(server_.port(), "island");
  const HttpAnswer again = http(server_.port(), "POST", "/v1/worlds", R"({"name":"island"})");
  EXPECT_EQ(again.status, 409u) << again.body;
  const auto found = nlohmann::json::parse(http(server_.port(), "GET", "/v1/worlds/island").body);
  EXPECT_EQ(found["layers"].size(), 2u);
  EXPECT_EQ(server_.terminate(), 0);
  ServerProcess next(folder_.path() / "data");
  const auto list = nlohmann::json::parse(http(next.port(), "GET", "/v1/worlds").body);
  ASSERT_EQ(list["worlds"].size(), 1u);
  EXPECT_EQ(list["worlds"][0]["id"], found["id"]);
}

TEST_F(Http, AssetsAreKeptUnderTheHashOfTheirBytes) {
  make_world(server_.port(), "island");
  const std::string png = std::string("\x89PNG\r\n\x1a\n", 8) + "the rest of it";
  const std::filesystem::path file = folder_.path() / "sheet.png";
  std::ofstream(file, std::ios::binary) << png;
  const std::string hash = run_program("/usr/bin/sha256sum", {file.string()}).output.substr(0, 64);
  const std::string target = "/v1/worlds/island/assets/";
  EXPECT_EQ(http(server_.port(), "PUT", target + std::string(64, 'a'), png).status, 400u);
  const HttpAnswer put = http(server_.port(), "PUT", target + hash, png);
  EXPECT_TRUE(put.status == 200 || put.status == 201 || put.status == 204) << put.status << put.body;
  EXPECT_EQ(http(server_.port(), "GET", target + hash).body, png);
  EXPECT_EQ(http(server_.port(), "GET", "/v1/worlds/island/assets/" + std::string(64, 'b')).status, 404u);
}

TEST_F(Http, WhatIsWrongIsSaidAsAProblemDocument) {
  const auto problem = [&](std::string_view method, const std::string& target, const std::string& body,
                           unsigned status) {
    const HttpAnswer answer = http(server_.port(), method, target, body);
    EXPECT_EQ(answer.status, status) << target << " " << answer.body;
    const auto json = nlohmann::json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(json.is_object() && json.contains("detail") && json.contains("title")) << answer.body;
  };
  problem("GET", "/v1/nothing", "", 404);
  problem("GET", "/v1/worlds/nobody", "", 404);
  problem("DELETE", "/v1/worlds", "", 405);
  problem("POST", "/v1/worlds", "{", 400);
  problem("POST", "/v1/worlds", R"({"layers":[]})", 400);
  problem("POST", "/v1/worlds", R"({"name":""})", 400);
}

TEST_F(Http, PagesOfOtherSitesMayNotUseIt) {
  TemporaryFolder folder;
  const Ran curl = run_program("/usr/bin/curl", {"-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                                                 "Origin: http://evil.example", server_.http_url() + "/v1/worlds"});
  EXPECT_EQ(curl.output, "403");
}

TEST(HttpTokens, WithTokensNothingIsAnsweredWithoutOne) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data", {"--auth", "token"});
  EXPECT_EQ(http(server.port(), "GET", "/v1/worlds").status, 401u);
  EXPECT_EQ(http(server.port(), "POST", "/v1/worlds", R"({"name":"w"})", "Bearer nonsense").status, 401u);
  EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200u);
  WebSocketPeer peer(server.port(), "terrazzo.v1.json");
  peer.send_text(R"({"type":"hello","protocol":1,"token":"nonsense"})");
  EXPECT_NE(peer.read().value_or("").find("unauthenticated"), std::string::npos);
  EXPECT_EQ(peer.close_code(), 1008);
}

}  // namespace
}  // namespace terrazzo::integration

// Limits of a real server, in both forms: what goes beyond is refused with its code, counted, and changes nothing.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "typed_peer.h"

namespace terrazzo::integration {
namespace {

using nlohmann::json;

class Limits : public testing::TestWithParam<proto::Form> {
 protected:
  void start(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--cores", "1"});
    server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
    make_world(server->port(), "w");
    peer = std::make_unique<TypedPeer>(server->port(), GetParam());
    peer->enter("w");
  }
  // Edits that fill so many cells each, in one payload, which comes at one time; how many were taken and refused.
  std::pair<int, int> edit(const std::vector<int>& widths) {
    std::vector<map::Op> ops;
    for (const int width : widths)
      ops.push_back({map::OpKind::fill, 1, map::Rect::of_size(0, 0, width, 1), map::Cell{7}, {}, {}});
    std::vector<proto::ClientMessage> edits;
    for (std::size_t i = 0; i < ops.size(); ++i)
      edits.emplace_back(map::Edit{EditId{i + 1}, map::AckMode::applied, {&ops[i], 1}, {}});
    peer->say(edits);
    int taken = 0, refused = 0;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const json answer = peer->next_of({"ack", "reject"});
      if (!answer.is_object()) break;
      ++(answer["type"] == "ack" ? taken : refused);
      if (answer["type"] == "reject") {
        EXPECT_EQ(answer["code"], "rate_limited");
        EXPECT_FALSE(answer["message"].get<std::string>().empty());
      }
    }
    return {taken, refused};
  }
  std::uint64_t edits_there() {
    peer->say(proto::Subscribe{1, map::Rect::of_size(0, 0, 1, 1), {}, {}, {}});
    return peer->next("subscribed")["shards"][0][2];
  }
  // A metric with this code.
  int count(const std::string& name, const std::string& code) {
    const std::string metrics = http(server->port(), "GET", "/metrics").body;
    const std::string label = name + "{core=\"0\",code=\"" + code + "\"} ";
    const std::size_t at = metrics.find(label);
    return at == std::string::npos ? -1 : std::stoi(metrics.substr(at + label.size()));
  }

  TemporaryFolder folder;
  std::unique_ptr<ServerProcess> server;
  std::unique_ptr<TypedPeer> peer;
};

TEST_P(Limits, EditsASecond) {  // ED-9
  start({"--edits-per-second", "5"});
  EXPECT_EQ(edit(std::vector<int>(40, 1)), std::pair(5, 35));
  EXPECT_EQ(edits_there(), 5u);
  EXPECT_EQ(count("terrazzo_rejects_total", "rate_limited"), 35);
}

TEST_P(Limits, CellsASecond) {  // ED-9
  start({"--cells-per-second", "1000"});
  EXPECT_EQ(edit({400, 400, 400, 200, 1}), std::pair(3, 2));
  EXPECT_EQ(edits_there(), 3u);
  EXPECT_EQ(count("terrazzo_rejects_total", "rate_limited"), 2);
}

TEST_P(Limits, SubscriptionsAndTheirArea) {  // SUB-6
  start({"--subscriptions-max", "2", "--chunks-per-subscription-max", "10", "--subscribed-chunks-max", "15"});
  const auto subscribe = [&](std::uint32_t sub, int chunks) {
    peer->say(proto::Subscribe{sub, map::Rect::of_size(0, 0, 32 * chunks, 32), {}, {}, {}});
    return peer->next_of({"subscribed", "error"});
  };
  EXPECT_EQ(subscribe(1, 11)["code"], "too_large");
  EXPECT_EQ(subscribe(1, 10)["type"], "subscribed");
  EXPECT_EQ(subscribe(2, 6)["code"], "too_large");
  EXPECT_EQ(subscribe(2, 5)["type"], "subscribed");
  EXPECT_EQ(subscribe(3, 1)["code"], "too_large");
  EXPECT_EQ(metric(server->port(), "terrazzo_watched_chunks"), 10);
  EXPECT_EQ(count("terrazzo_errors_total", "too_large"), 3);
}

TEST_P(Limits, ClaimsASecond) {
  start({"--claims-per-second", "3"});
  std::vector<proto::ClientMessage> claims;
  for (std::uint32_t i = 1; i <= 8; ++i)
    claims.emplace_back(proto::Claim{ClaimId{i}, map::Rect::of_size(i * 10, 0, 1, 1), {}, 600'000});
  peer->say(claims);
  int held = 0, refused = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const json answer = peer->next_of({"claimed", "reject"});
    if (!answer.is_object()) break;
    ++(answer["type"] == "claimed" ? held : refused);
    if (answer["type"] == "reject") {
      EXPECT_EQ(answer["code"], "rate_limited");
    }
  }
  EXPECT_EQ(held, 3);
  EXPECT_EQ(refused, 5);
  EXPECT_EQ(metric(server->port(), "terrazzo_claims"), 3);
  EXPECT_EQ(count("terrazzo_claim_rejects_total", "rate_limited"), 5);
}

std::string name_of(const testing::TestParamInfo<proto::Form>& info) {
  return info.param == proto::Form::json ? "json" : "binary";
}
INSTANTIATE_TEST_SUITE_P(Forms, Limits, testing::Values(proto::Form::binary, proto::Form::json), name_of);

}  // namespace
}  // namespace terrazzo::integration

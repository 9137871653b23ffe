// Claims on a real server, in both forms (CL of PROTOCOL.md): whom they keep out, how they end, and that a shard which
// moves takes them along.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"
#include "typed_peer.h"

namespace terrazzo::integration {
namespace {

using nlohmann::json;

const map::Rect kHere = map::Rect::of_size(100, 100, 10, 10);
const map::Rect kCorner = map::Rect::of_size(8192 - 5, 8192 - 5, 10, 10);  // in four shards
constexpr std::uint32_t kLong = 600'000;                                   // ms

proto::Claim claim(std::uint32_t number, const map::Rect& rect, std::uint32_t ttl_ms = kLong) {
  return {ClaimId{number}, rect, {}, ttl_ms};
}

class Claims : public testing::TestWithParam<proto::Form> {
 protected:
  void start(std::vector<std::string> flags) {
    server = std::make_unique<ServerProcess>(folder.path() / "data", std::move(flags));
    make_world(server->port(), "w");
  }

  std::unique_ptr<TypedPeer> enter(const std::string& world = "w", const std::string& token = {}) {
    auto peer = std::make_unique<TypedPeer>(server->port(), GetParam());
    peer->enter(world, token);
    return peer;
  }
  // The answer to an edit that fills the rectangle: `ack` or `reject`.
  json edit(TypedPeer& peer, const map::Rect& rect, std::uint32_t tile = 7) {
    const map::Op op{map::OpKind::fill, 1, rect, map::Cell{tile}, {}, {}};
    const EditId id{++last_edit_};
    peer.say(map::Edit{id, map::AckMode::applied, {&op, 1}, {}});
    json answer;
    do {
      answer = peer.next_of({"ack", "reject"});
    } while (answer.is_object() && answer.value("id", std::uint64_t{0}) != id.value);
    return answer;
  }
  bool can_edit(TypedPeer& peer, const map::Rect& rect) { return edit(peer, rect)["type"] == "ack"; }
  void expect_refused(TypedPeer& peer, const map::Rect& rect, const TypedPeer& holder, const map::Rect& claimed) {
    const json answer = edit(peer, rect);
    ASSERT_EQ(answer["type"], "reject") << answer.dump();
    EXPECT_EQ(answer["code"], "claimed");
    EXPECT_FALSE(answer["message"].get<std::string>().empty());
    ASSERT_EQ(answer["conflicts"].size(), 1u) << answer.dump();
    EXPECT_EQ(answer["conflicts"][0]["session"], std::to_string(holder.session()));
    EXPECT_EQ(answer["conflicts"][0]["rect"], (json{claimed.x0, claimed.y0, claimed.width(), claimed.height()}));
  }
  json rejected(TypedPeer& peer, const proto::Claim& wanted) {
    peer.say(wanted);
    return peer.next("reject", [&](const json& m) { return m.value("claim", 0u) == wanted.claim.value; });
  }
  static void hold(TypedPeer& peer, const proto::Claim& wanted) {
    peer.say(wanted);
    const json told = peer.next("claimed", [&](const json& m) {
      return m["claim"] == wanted.claim.value && m["session"] == std::to_string(peer.session());
    });
    ASSERT_TRUE(told.is_object());
  }
  static json released(TypedPeer& peer, const TypedPeer& holder, std::uint32_t number) {
    return peer.next("released", [&](const json& m) {
      return m["claim"] == number && m["session"] == std::to_string(holder.session());
    });
  }
  // How many edits each shard around the rectangle has seen.
  static json lsns(TypedPeer& peer, const map::Rect& rect) {
    peer.say(proto::Subscribe{99, rect, {}, {}, {}});
    const json subscribed = peer.next("subscribed", [](const json& m) { return m["sub"] == 99; });
    peer.say(proto::Unsubscribe{99});
    json shards = subscribed["shards"];
    std::sort(shards.begin(), shards.end());
    return shards;
  }

  TemporaryFolder folder;
  std::unique_ptr<ServerProcess> server;
  std::uint64_t last_edit_ = 0;
};

TEST_P(Claims, KeepOthersOutUntilReleasedAndChangeNothing) {  // CL-1 to CL-4, CL-6, CL-8
  start({"--cores", "2"});
  const auto ada = enter(), bob = enter();
  for (TypedPeer* peer : {ada.get(), bob.get()}) {
    peer->say(proto::Subscribe{1, kHere, {}, {}, {}});
    peer->next("subscribed");
  }
  hold(*ada, claim(1, kHere));
  const json heard = bob->next("claimed");
  EXPECT_EQ(heard["session"], std::to_string(ada->session()));
  EXPECT_EQ(heard["rect"], (json{100, 100, 10, 10}));
  EXPECT_LE(heard["ttl_ms"], kLong);
  // Who comes later is told, too.
  const auto eve = enter();
  eve->say(proto::Subscribe{1, kHere, {}, {}, {}});
  EXPECT_EQ(eve->next("claimed")["session"], std::to_string(ada->session()));

  const json before = lsns(*bob, kHere), around = lsns(*bob, kCorner);
  ASSERT_EQ(around.size(), 4u);
  expect_refused(*bob, map::Rect::of_size(109, 109, 5, 5), *ada, kHere);
  expect_refused(*bob, map::Rect::of_size(0, 0, 9000, 9000), *ada, kHere);  // over shards, and refused whole
  const json answer = rejected(*bob, claim(1, map::Rect::of_size(90, 90, 11, 11)));
  EXPECT_EQ(answer["code"], "claimed");
  EXPECT_EQ(answer["conflicts"].size(), 1u);
  EXPECT_EQ(lsns(*bob, kCorner), around);
  EXPECT_EQ(lsns(*bob, kHere), before) << "a rejected edit changed something";
  EXPECT_EQ(metric(server->port(), "terrazzo_claims"), 1);

  EXPECT_TRUE(can_edit(*bob, map::Rect::of_size(110, 100, 5, 5))) << "right beside it";
  EXPECT_TRUE(can_edit(*ada, kHere));
  EXPECT_TRUE(can_edit(*ada, map::Rect::of_size(0, 0, 9000, 9000)));
  ada->say(proto::Release{ClaimId{1}, {}});
  EXPECT_EQ(released(*ada, *ada, 1)["reason"], "released");
  EXPECT_EQ(released(*bob, *ada, 1)["reason"], "released");
  EXPECT_TRUE(can_edit(*bob, kHere));
  ada->say(proto::Release{ClaimId{1}, {}});
  EXPECT_EQ(ada->next("error")["code"], "not_found");
  EXPECT_EQ(metric(server->port(), "terrazzo_claims"), 0);
  const std::string metrics = http(server->port(), "GET", "/metrics").body;
  EXPECT_NE(metrics.find("code=\"claimed\"} 2"), std::string::npos) << "two edits were rejected as claimed";
}

TEST_P(Claims, EndWithTheirTimeWhichARenewalChanges) {  // CL-5, CL-7
  start({"--cores", "2", "--claim-ttl-max-s", "3000"});
  const auto ada = enter(), bob = enter();
  bob->say(proto::Subscribe{1, kHere, {}, {}, {}});
  bob->next("subscribed");
  ada->say(claim(1, kHere, 4'000'000));
  EXPECT_LE(ada->next("claimed")["ttl_ms"], 3'000'000u);
  EXPECT_EQ(rejected(*ada, claim(1, kCorner))["code"], "conflict");
  expect_refused(*bob, kHere, *ada, kHere);
  ada->say(claim(1, kHere, 50));  // 50 minutes become 50 ms
  EXPECT_EQ(released(*bob, *ada, 1)["reason"], "expired");
  EXPECT_EQ(released(*ada, *ada, 1)["reason"], "expired");
  EXPECT_TRUE(can_edit(*bob, kHere));
  EXPECT_EQ(metric(server->port(), "terrazzo_claims_expired_total"), 1);
}

TEST_P(Claims, OfASessionThatDoesNotComeBackEndAfterTheGraceTime) {  // CL-7
  start({"--cores", "2", "--claim-grace-ms", "50"});
  const auto bob = enter();
  bob->say(proto::Subscribe{1, kHere, {}, {}, {}});
  bob->next("subscribed");
  auto ada = enter();
  hold(*ada, claim(1, kHere));
  expect_refused(*bob, kHere, *ada, kHere);
  const std::uint64_t session = ada->session();
  ada.reset();
  const json over = bob->next("released");
  EXPECT_EQ(over["session"], std::to_string(session));
  EXPECT_EQ(over["reason"], "left");
  EXPECT_TRUE(can_edit(*bob, kHere));
}

TEST_P(Claims, OfASessionThatComesBackStay) {  // CL-7
  start({"--cores", "2", "--claim-grace-ms", "100"});
  const auto ada = enter(), bob = enter();
  hold(*ada, claim(1, kHere));
  // The session goes on over another connection before the first one has ended.
  auto again = std::make_unique<TypedPeer>(server->port(), GetParam());
  again->enter("w", {}, ada->resume(), ada->incarnation());
  EXPECT_EQ(again->session(), ada->session());
  EXPECT_EQ(ada->socket().close_code(), 1008);
  // Longer than the grace time, by the same clock.
  hold(*bob, claim(1, kCorner, 500));
  EXPECT_EQ(released(*bob, *bob, 1)["reason"], "expired");
  expect_refused(*bob, kHere, *again, kHere);
  EXPECT_TRUE(can_edit(*again, kHere));
  hold(*again, claim(1, kHere));  // a renewal
  again->say(proto::Release{ClaimId{1}, {}});
  EXPECT_EQ(released(*again, *again, 1)["reason"], "released");
}

TEST_P(Claims, ReachOverShardsAllOrNothingAlsoWhileTheseMove) {  // CL-3
  start({"--cores", "3", "--claims-per-second", "0"});
  const std::uint16_t port = server->port();
  std::atomic<bool> stop{false};
  std::atomic<int> moves{0};
  std::thread mover([&] {
    std::mt19937 random(7);
    while (!stop.load()) {
      const std::string shard = std::to_string(random() % 2) + "," + std::to_string(random() % 2);
      const HttpAnswer answer = http(port, "POST", "/v1/worlds/w/shards/" + shard + "/move",
                                     R"({"core":)" + std::to_string(random() % 3) + "}");
      if (answer.status == 200) ++moves;
    }
  });
  const auto ada = enter(), bob = enter();
  const map::Rect parts[] = {
      {8191, 8191, 8192, 8192}, {8192, 8191, 8193, 8192}, {8191, 8192, 8192, 8193}, {8192, 8192, 8193, 8193}};
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    hold(*ada, claim(1, kCorner));
    for (const map::Rect& part : parts) expect_refused(*bob, part, *ada, kCorner);
    expect_refused(*bob, map::Rect::of_size(8191, 8191, 2, 2), *ada, kCorner);
    ada->say(proto::Release{ClaimId{1}, {}});
    released(*ada, *ada, 1);
    hold(*bob, claim(1, parts[round % 4]));
    EXPECT_EQ(rejected(*ada, claim(2, kCorner))["code"], "claimed");
    for (const map::Rect& part : parts) {
      EXPECT_TRUE(can_edit(*bob, part));
      EXPECT_EQ(can_edit(*ada, part), part != parts[round % 4]) << "the part of a claim that was refused";
    }
    bob->say(proto::Release{ClaimId{1}, {}});
    released(*bob, *bob, 1);
  }
  stop = true;
  mover.join();
  EXPECT_GT(moves.load(), 0);
}

TEST_P(Claims, AreOfOneBranchAndOfOneRunOfTheServer) {  // CL-9
  start({"--cores", "2"});
  ASSERT_EQ(http(server->port(), "POST", "/v1/worlds/w/branches", R"({"name":"night"})").status, 201u);
  {
    const auto ada = enter(), bob = enter(), night = enter("w@night");
    hold(*ada, claim(1, kHere));
    expect_refused(*bob, kHere, *ada, kHere);
    EXPECT_TRUE(can_edit(*night, kHere));
    hold(*night, claim(1, kHere));
    EXPECT_TRUE(can_edit(*night, kHere));
  }
  server->kill();
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--cores", "3"});
  const auto bob = enter();
  EXPECT_TRUE(can_edit(*bob, kHere));
}

TEST_P(Claims, AreBoundedPerUser) {  // CL-9
  start({"--cores", "2", "--claims-per-user", "2", "--claim-cells-max", "1000"});
  const auto ada = enter();
  hold(*ada, claim(1, map::Rect::of_size(0, 0, 10, 10)));
  EXPECT_EQ(rejected(*ada, claim(2, map::Rect::of_size(20, 0, 30, 31)))["code"], "too_large");
  hold(*ada, claim(2, map::Rect::of_size(20, 0, 30, 30)));
  EXPECT_EQ(rejected(*ada, claim(3, map::Rect::of_size(90, 0, 1, 1)))["code"], "too_large");
  EXPECT_EQ(rejected(*ada, {ClaimId{4}, map::Rect::of_size(0, 0, 1, 1), std::vector<map::LayerId>{9}, 0})["code"],
            "not_found");
  EXPECT_EQ(metric(server->port(), "terrazzo_claims"), 2);
  const std::string metrics = http(server->port(), "GET", "/metrics").body;
  const auto counts = [&](const std::string& code, int count) {
    const std::string label = "code=\"" + code + "\"} " + std::to_string(count) + "\n";
    for (std::size_t at = metrics.find("terrazzo_claim_rejects_total{"); at != std::string::npos;
         at = metrics.find("terrazzo_claim_rejects_total{", at + 1))
      if (metrics.substr(at, metrics.find('\n', at) + 1 - at).ends_with(label)) return true;
    return false;
  };
  EXPECT_TRUE(counts("too_large", 2));
  EXPECT_TRUE(counts("not_found", 1));
}

class ClaimsOfUsers : public Claims {
 protected:
  std::string token(const std::string& user, const std::string& role) {
    std::string text = run_program(TERRAZZO_BIN_DIR "/terrazzo", {"token", "--data", (folder.path() / "data").string(),
                                                                  "--user", user, "--role", role})
                           .output;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
};

TEST_P(ClaimsOfUsers, KeepOutNeitherTheirUsersOtherSessionsNorWhoMayBreakThem) {  // CL-2, CL-6
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--auth", "token"});
  const std::string of_owner = token("zoe", "owner");
  ASSERT_EQ(http(server->port(), "POST", "/v1/worlds", make_world_json("w"), "Bearer " + of_owner).status, 201u);
  const auto ada = enter("w", token("ada", "editor")), tab = enter("w", token("ada", "editor")),
             bob = enter("w", token("bob", "editor")), eve = enter("w", token("eve", "viewer")),
             zoe = enter("w", of_owner);
  hold(*ada, claim(1, kHere));
  EXPECT_TRUE(can_edit(*tab, kHere));
  hold(*tab, claim(1, kHere));
  EXPECT_EQ(rejected(*eve, claim(1, kCorner))["code"], "forbidden");
  EXPECT_EQ(edit(*bob, kHere)["code"], "claimed");
  EXPECT_EQ(edit(*zoe, kHere)["code"], "claimed") << "an owner breaks it first";
  for (TypedPeer* peer : {bob.get(), tab.get()}) {
    peer->say(proto::Release{ClaimId{1}, SessionId{ada->session()}});
    EXPECT_EQ(peer->next("error")["code"], "forbidden");
  }
  for (TypedPeer* holder : {ada.get(), tab.get()}) {
    zoe->say(proto::Release{ClaimId{1}, SessionId{holder->session()}});
    EXPECT_EQ(released(*zoe, *holder, 1)["reason"], "broken");
    EXPECT_EQ(released(*holder, *holder, 1)["reason"], "broken");
  }
  EXPECT_TRUE(can_edit(*bob, kHere));
}

std::string name_of(const testing::TestParamInfo<proto::Form>& info) {
  return info.param == proto::Form::json ? "json" : "binary";
}
INSTANTIATE_TEST_SUITE_P(Forms, Claims, testing::Values(proto::Form::binary, proto::Form::json), name_of);
INSTANTIATE_TEST_SUITE_P(Forms, ClaimsOfUsers, testing::Values(proto::Form::binary, proto::Form::json), name_of);

}  // namespace
}  // namespace terrazzo::integration

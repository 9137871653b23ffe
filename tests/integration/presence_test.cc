// Presence on a real server (PROTOCOL.md, PR): who sees whose cursor, how often, and that it says goodbye.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;
using Clock = std::chrono::steady_clock;

constexpr map::Rect kHere{0, 0, 64, 64}, kFarAway{6400, 6400, 6464, 6464};
constexpr unsigned kPerSecond = 50;

struct Somebody {
  Somebody(client::Reactor& reactor, std::uint16_t port, const std::string& name, proto::Form form,
           const map::Rect& view) {
    client::ConnectOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(port);
    options.form = form;
    options.name = name;
    options.presence_per_second = 1000;  // the server's limit is the one that is looked at
    client = std::make_unique<Client>(reactor, options);
    client->on_event([this](const client::Event& event) {
      if (const auto* changed = std::get_if<client::PeerChanged>(&event)) changes.push_back(changed->session);
    });
    EXPECT_TRUE(client->connect().ok());
    EXPECT_TRUE(client->open("w").ok());
    EXPECT_TRUE(client->wait_live(20s).ok());
    watch(view);
  }
  void watch(const map::Rect& view) {
    const auto subscription = client->subscribe(view);
    ASSERT_TRUE(subscription.ok());
    EXPECT_TRUE(client->wait_until([&] { return client->is_ready(*subscription); }, 20s));
  }
  void point_at(std::int32_t x) {
    client::Presence presence;
    presence.cursor = map::CellPos{x, 0};
    client->set_presence(presence);
  }
  std::optional<std::int32_t> sees(SessionId other) const {
    const auto peer = client->peer(other);
    return peer && peer->presence.cursor ? std::optional(peer->presence.cursor->x) : std::nullopt;
  }
  bool wait_to_see(SessionId other, std::int32_t x) {
    return client->wait_until([&] { return sees(other) == x; }, 20s);
  }

  std::unique_ptr<Client> client;
  std::vector<SessionId> changes;
};

TEST(Presence, IsSeenByThoseWhoWatchThePlaceAndNotTooOften) {
  TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data",
                             {"--cores", "2", "--presence-per-second", std::to_string(kPerSecond)});
  make_world(server.port(), "w");
  client::Reactor reactor;
  Somebody ada(reactor, server.port(), "Ada", proto::Form::binary, kHere);
  Somebody bob(reactor, server.port(), "Bob", proto::Form::binary, kHere);
  Somebody eve(reactor, server.port(), "Eve", proto::Form::json, kHere);
  Somebody zoe(reactor, server.port(), "Zoe", proto::Form::json, kFarAway);
  const SessionId her = ada.client->session();

  ada.point_at(1);  // everybody learns that she is there
  for (Somebody* other : {&bob, &eve, &zoe}) ASSERT_TRUE(other->wait_to_see(her, 1));
  EXPECT_EQ(bob.client->peer(her)->name, "Ada");

  bob.changes.clear();
  const auto began = Clock::now();
  for (int x = 2; x < 60; ++x) {
    ada.point_at(x);
    reactor.run_once(2ms);
  }
  ASSERT_TRUE(bob.wait_to_see(her, 59));
  ASSERT_TRUE(eve.wait_to_see(her, 59));
  const std::chrono::duration<double> took = Clock::now() - began;
  EXPECT_LE(static_cast<double>(bob.changes.size()), took.count() * kPerSecond + 2);
  EXPECT_EQ(zoe.sees(her), 1);  // she watches another place

  // Who goes there is told where the others are; who sees her leave is told where to.
  zoe.watch(kHere);
  ASSERT_TRUE(zoe.wait_to_see(her, 59));
  ada.point_at(6400);
  ASSERT_TRUE(bob.wait_to_see(her, 6400));
  ada.point_at(6500);
  EXPECT_EQ(metric(server.port(), "terrazzo_presence_put_off_total"), 0);

  ada.client->close();
  for (Somebody* other : {&bob, &eve, &zoe})
    EXPECT_TRUE(other->client->wait_until([&] { return !other->client->peer(her); }, 20s));
}

TEST(Presence, WhoFollowsSomebodySeesWhatItSeesWhereverThatIs) {  // PR-6
  TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--cores", "2"});
  make_world(server.port(), "w");
  client::Reactor reactor;
  Somebody ada(reactor, server.port(), "Ada", proto::Form::binary, kHere);
  Somebody bob(reactor, server.port(), "Bob", proto::Form::binary, kHere);
  Somebody eve(reactor, server.port(), "Eve", proto::Form::json, kHere);
  const SessionId her = ada.client->session();
  client::Presence presence;
  presence.viewport = kHere;
  ada.client->set_presence(presence);
  ada.point_at(1);
  for (Somebody* other : {&bob, &eve}) ASSERT_TRUE(other->wait_to_see(her, 1));

  // What she shows far away is not told to those who watch here, before they follow her.
  ada.point_at(6400);
  for (Somebody* other : {&bob, &eve}) ASSERT_TRUE(other->wait_to_see(her, 6400));  // she was here just before
  presence.viewport = kFarAway;
  ada.client->set_presence(presence);
  ada.point_at(6401);
  for (Somebody* other : {&bob, &eve}) other->client->follow(her);
  for (Somebody* other : {&bob, &eve}) ASSERT_TRUE(other->wait_to_see(her, 6401));
  for (int x = 6402; x < 6410; ++x) {
    ada.point_at(x);
    for (Somebody* other : {&bob, &eve}) ASSERT_TRUE(other->wait_to_see(her, x));
  }
  EXPECT_EQ(eve.client->peer(her)->presence.viewport, kFarAway);

  // He looks where she looks, and sees what she paints there.
  bob.watch(*bob.client->peer(her)->presence.viewport);
  client::EditDraft draft;
  draft.fill(1, map::Rect::of_size(6410, 6410, 2, 2), map::Cell{7});
  ASSERT_TRUE(ada.client->edit(std::move(draft)).ok());
  EXPECT_TRUE(bob.client->wait_until([&] { return bob.client->read(1, {6411, 6411}) == map::Cell{7}; }, 20s));

  bob.client->follow(std::nullopt);
  EXPECT_FALSE(bob.client->followed());
}

}  // namespace
}  // namespace terrazzo::integration

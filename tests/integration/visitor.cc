#include "visitor.h"

#include <gtest/gtest.h>

#include <chrono>

namespace terrazzo::integration {

using namespace std::chrono_literals;
using client::Client;

constexpr auto kPatience = 60s;

std::unique_ptr<Client> enter(std::uint16_t port, const std::string& world, client::Reactor* reactor, proto::Form form,
                              std::uint64_t seed) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(port);
  options.form = form;
  options.reconnect.delay_min_ms = 1;
  options.reconnect.delay_max_ms = 20;
  options.seed = seed;
  auto client = reactor == nullptr ? std::make_unique<Client>(options) : std::make_unique<Client>(*reactor, options);
  EXPECT_TRUE(client->connect().ok());
  EXPECT_TRUE(client->open(world).ok());
  const Status live = client->wait_live(kPatience);
  EXPECT_TRUE(live.ok()) << world << ": " << live.error().message;
  return client;
}

std::vector<std::uint32_t> cells_of(Client& client, const map::Rect& rect) {
  std::vector<map::Cell> cells(static_cast<std::size_t>(rect.area()));
  EXPECT_TRUE(client.read_rect(kPaintedLayer, rect, cells, client::View::confirmed));
  std::vector<std::uint32_t> values;
  for (const map::Cell cell : cells) values.push_back(cell.bits);
  return values;
}

std::vector<std::uint32_t> look(std::uint16_t port, const std::string& world, const map::Rect& rect) {
  const auto client = enter(port, world);
  const Result<client::SubscriptionId> view = client->subscribe(rect);
  EXPECT_TRUE(view.ok());
  EXPECT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, kPatience));
  return cells_of(*client, rect);
}

void paint(std::uint16_t port, const std::string& world, const map::Rect& rect, std::uint32_t tile) {
  const auto client = enter(port, world);
  ASSERT_TRUE(client->edit(client::EditDraft().fill(kPaintedLayer, rect, map::Cell{tile})).ok());
  ASSERT_TRUE(client->wait_durable(kPatience));
}

}  // namespace terrazzo::integration

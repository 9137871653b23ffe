// Every client comes back at once: after a cut, after the server was killed, after it was stopped. Nothing is missing
// or done twice, and what the server encodes does not grow with their number.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

constexpr map::LayerId kLayer = 1;
constexpr std::size_t kCrowd = 120;
constexpr map::Rect kPlace = map::Rect::of_size(0, 0, 256, 256);
constexpr std::size_t kChunks = 64, kForms = 2;

class Crowd {
 public:
  Crowd(std::uint16_t port, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      client::ConnectOptions options;
      options.url = "ws://127.0.0.1:" + std::to_string(port);
      options.form = i % 2 == 0 ? proto::Form::binary : proto::Form::json;
      options.seed = i + 1;
      options.reconnect.delay_max_ms = 500;
      clients.push_back(std::make_unique<Client>(reactor, options));
      EXPECT_TRUE(clients.back()->connect().ok());
      EXPECT_TRUE(clients.back()->open("w").ok());
    }
    EXPECT_TRUE(run_until([](const Client& client) { return client.state() == client::State::live; }));
    for (auto& client : clients) views.push_back(client->subscribe(kPlace).value());
    EXPECT_TRUE(everybody_sees());
  }
  // Whether it comes true for all of them, within a time that no machine needs.
  bool run_until(const std::function<bool(const Client&)>& predicate) {
    for (const auto& client : clients)
      if (!client->wait_until([&] { return predicate(*client); }, 60s)) return false;
    return true;
  }
  bool everybody_sees() {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      Client& client = *clients[i];
      const auto sees = [&] { return client.state() == client::State::live && client.is_ready(views[i]); };
      if (!client.wait_until(sees, 60s)) return false;
    }
    return true;
  }

  client::Reactor reactor;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<client::SubscriptionId> views;
};

std::vector<map::Cell> cells_of(const Client& client) {
  std::vector<map::Cell> cells(kPlace.area());
  EXPECT_TRUE(client.read_rect(kLayer, kPlace, cells, client::View::confirmed));
  return cells;
}
bool same_cells(const std::vector<map::Cell>& a, const std::vector<map::Cell>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(map::Cell)) == 0;
}

// A different cell in every place, so that no chunk is of one colour.
void paint_all(Client& painter, std::uint32_t shift) {
  std::vector<map::Cell> cells(kPlace.area());
  for (std::size_t i = 0; i < cells.size(); ++i)
    cells[i].bits = static_cast<std::uint32_t>((i * 7 + i / 256 + shift) % 50);
  ASSERT_TRUE(painter.edit(client::EditDraft().set(kLayer, kPlace, cells), map::AckMode::durable).ok());
  ASSERT_TRUE(painter.wait_durable(60s));
}

class Storm : public testing::Test {
 protected:
  void start(std::uint16_t port = 0) {
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--cores", "2"}, port);
    ASSERT_TRUE(server_->running());
  }
  void expect_all_equal(Crowd& crowd) {
    const std::vector<map::Cell> truth = cells_of(*Crowd(server_->port(), 1).clients.front());
    for (const auto& client : crowd.clients)
      EXPECT_TRUE(client->wait_until([&] { return same_cells(cells_of(*client), truth); }, 60s));
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(Storm, AfterACutACrowdCostsOneEncodingOfEachChunkAndForm) {
  start();
  const std::uint16_t port = server_->port();
  make_world(port, "w");
  Crowd painter(port, 1), crowd(port, kCrowd);
  paint_all(*painter.clients.front(), 0);
  ASSERT_TRUE(crowd.run_until([](const Client& client) {
    return client.revision(kLayer, {7, 7}).value_or(Lsn{}).value == 1;
  }));
  std::vector<SessionId> sessions;
  for (const auto& client : crowd.clients) {
    sessions.push_back(client->session());
    client->drop_connection();
  }
  // Nobody of them is served meanwhile, so that all come back to a place that has changed.
  paint_all(*painter.clients.front(), 1);
  const double encoded = metric(port, "terrazzo_encoded_chunk_misses_total"),
               sent = metric(port, "terrazzo_chunks_sent_total");
  ASSERT_TRUE(crowd.run_until([](const Client& client) { return client.statistics().connections == 2; }));
  ASSERT_TRUE(crowd.everybody_sees());
  EXPECT_LE(metric(port, "terrazzo_encoded_chunk_misses_total") - encoded, kChunks * kForms);
  EXPECT_GE(metric(port, "terrazzo_chunks_sent_total") - sent, kChunks * kCrowd)
      << "nothing was sent: the test proves nothing";
  for (std::size_t i = 0; i < kCrowd; ++i) EXPECT_EQ(crowd.clients[i]->session(), sessions[i]) << "resumed";
  expect_all_equal(crowd);

  // Who has it already is not sent it again.
  for (const auto& client : crowd.clients) client->drop_connection();
  const double before = metric(port, "terrazzo_chunks_sent_total");
  ASSERT_TRUE(crowd.run_until([](const Client& client) { return client.statistics().connections == 3; }));
  ASSERT_TRUE(crowd.everybody_sees());
  EXPECT_EQ(metric(port, "terrazzo_chunks_sent_total"), before);
  EXPECT_EQ(metric(port, "terrazzo_newcomers_waiting"), 0);
}

TEST_F(Storm, AfterTheServerWasKilledEverybodyIsBackWithWhatTheyHadPainted) {
  start();
  const std::uint16_t port = server_->port();
  make_world(port, "w");
  Crowd crowd(port, kCrowd);
  paint_all(*crowd.clients.front(), 0);
  const std::uint64_t incarnation = crowd.clients.front()->incarnation().value;
  // Each paints a cell of its own; some of these have reached the server when it dies, and some its disk.
  for (std::size_t i = 0; i < kCrowd; ++i) {
    const map::CellPos at{static_cast<std::int32_t>(i), static_cast<std::int32_t>(i)};
    ASSERT_TRUE(crowd.clients[i]->edit(client::EditDraft().set(kLayer, at, map::Cell{49}), map::AckMode::durable).ok());
  }
  ASSERT_TRUE(crowd.clients.front()->wait_durable(60s));
  server_->kill();
  start(port);
  ASSERT_TRUE(crowd.run_until([&](const Client& client) { return client.incarnation().value == incarnation + 1; }));
  ASSERT_TRUE(crowd.everybody_sees());
  ASSERT_TRUE(crowd.run_until([](const Client& client) { return client.edits_waiting() == 0; }));
  for (std::size_t i = 0; i < kCrowd; ++i) EXPECT_FALSE(crowd.clients[i]->rejection(EditId{i == 0 ? 2u : 1u}));
  expect_all_equal(crowd);
  const std::vector<map::Cell> truth = cells_of(*crowd.clients.front());
  for (std::size_t i = 0; i < kCrowd; ++i) EXPECT_EQ(truth[i * 256 + i].bits, 49u) << i;
}

TEST_F(Storm, AfterAStopEverybodyComesBackInTheirOwnTime) {
  start();
  const std::uint16_t port = server_->port();
  make_world(port, "w");
  Crowd crowd(port, kCrowd);
  paint_all(*crowd.clients.front(), 0);
  std::vector<std::uint32_t> delays;
  for (const auto& client : crowd.clients) {
    client->on_event([&](const client::Event& event) {
      const auto* changed = std::get_if<client::StateChanged>(&event);
      if (changed != nullptr && changed->state == client::State::waiting) delays.push_back(changed->retry_in_ms);
    });
  }
  // The server waits for their goodbyes.
  std::thread stop([&] { EXPECT_EQ(server_->terminate(), 0); });
  EXPECT_TRUE(crowd.run_until([](const Client& client) { return client.state() != client::State::live; }));
  stop.join();
  ASSERT_GE(delays.size(), kCrowd);
  delays.resize(kCrowd);
  EXPECT_GE(std::ranges::min(delays), 1000u) << "as the server said";
  // Drawn from a second; the seeds are fixed.
  std::vector<std::size_t> tenths(10, 0);
  for (const std::uint32_t delay : delays) ++tenths[std::min<std::size_t>((delay - 1000) / 101, 9)];
  EXPECT_LT(std::ranges::max(tenths), kCrowd / 3) << "spread";
  start(port);
  ASSERT_TRUE(crowd.everybody_sees());
  expect_all_equal(crowd);
}

}  // namespace
}  // namespace terrazzo::integration

// Clients that stop reading on a real server: what is kept for them is bounded, the others go on, and when they read
// again they have what everybody has (PROTOCOL.md, BP).
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

constexpr map::LayerId kLayer = 1;
constexpr std::size_t kConflateBytes = 65536, kSendBufferKib = 192, kStalled = 64, kActive = 6;
constexpr map::Rect kPlace{-128, 0, 128, 256};  // over two shards

// Bytes in the kernel that a connection of the server has not sent or that nobody acknowledged: all, and most for one.
struct Unsent {
  std::size_t connections = 0, all = 0, most = 0;
};
Unsent unsent_in_kernel(std::uint16_t port) {
  Unsent unsent;
  std::ifstream table("/proc/net/tcp");  // proc(5): sl local rem st tx_queue:rx_queue …, in hexadecimal
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, queues;
    fields >> number >> local >> remote >> state >> queues;
    constexpr const char* kEstablished = "01";
    if (state != kEstablished || std::stoul(local.substr(local.find(':') + 1), nullptr, 16) != port) continue;
    const std::size_t bytes = std::stoul(queues.substr(0, queues.find(':')), nullptr, 16);
    ++unsent.connections;
    unsent.all += bytes;
    unsent.most = std::max(unsent.most, bytes);
  }
  return unsent;
}

class Crowd {
 public:
  Crowd(std::uint16_t port, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      client::ConnectOptions options;
      options.url = "ws://127.0.0.1:" + std::to_string(port);
      options.form = i % 4 == 3 ? proto::Form::json : proto::Form::binary;
      options.compression = false;        // so that all fall behind after as many edits
      options.reconnect.enabled = false;  // none of them is to be closed
      clients.push_back(std::make_unique<Client>(reactor, options));
      clients.back()->on_event([this](const client::Event& event) {
        times_behind += std::holds_alternative<client::FellBehind>(event) ? 1 : 0;
        times_caught_up += std::holds_alternative<client::CaughtUp>(event) ? 1 : 0;
      });
      EXPECT_TRUE(clients.back()->connect().ok());
      EXPECT_TRUE(clients.back()->open("w").ok());
      EXPECT_TRUE(clients.back()->wait_live(20s).ok());
      const auto view = clients.back()->subscribe(kPlace);
      EXPECT_TRUE(view.ok());
      EXPECT_TRUE(clients.back()->wait_until([&] { return clients.back()->is_ready(*view); }, 20s));
    }
  }
  Client& front() { return *clients.front(); }

  client::Reactor reactor;
  std::vector<std::unique_ptr<Client>> clients;
  std::size_t times_behind = 0, times_caught_up = 0;
};

std::vector<map::Cell> cells_of(const Client& client) {
  std::vector<map::Cell> cells(kPlace.area());
  EXPECT_TRUE(client.read_rect(kLayer, kPlace, cells, client::View::confirmed));
  return cells;
}
bool same_cells(const std::vector<map::Cell>& a, const std::vector<map::Cell>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(map::Cell)) == 0;
}

class SlowClients : public testing::Test {
 protected:
  void paint(Client& client, std::int64_t side) {
    const auto pick = [&](std::int64_t low, std::int64_t high) {
      return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
    };
    const map::Rect rect = map::Rect::of_size(pick(kPlace.x0, kPlace.x1 - side), pick(0, kPlace.y1 - side), side, side);
    std::vector<map::Cell> cells(rect.area());
    for (map::Cell& cell : cells) cell.bits = static_cast<std::uint32_t>(pick(0, 50));
    const auto edit = client.edit(client::EditDraft().set(kLayer, rect, cells), map::AckMode::applied);
    ASSERT_TRUE(edit.ok()) << edit.error().message;
  }

  std::mt19937_64 random_{1};  // only what is painted; the order is the server's in any case
};

TEST_F(SlowClients, AreBoundedLeaveTheOthersAloneAndConverge) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data", {"--cores", "2", "--conflate-bytes", std::to_string(kConflateBytes),
                                                "--send-buffer-kib", std::to_string(kSendBufferKib)});
  const std::uint16_t port = server.port();
  make_world(port, "w");
  Crowd stalled(port, kStalled), active(port, kActive);

  // The kernel takes what it may for each, time and again, before nothing moves any more.
  const auto began = std::chrono::steady_clock::now();
  double before = 0;
  for (int still = 0; still < 5;) {
    ASSERT_LT(std::chrono::steady_clock::now() - began, 90s) << metric(port, "terrazzo_slow_sessions");
    for (int i = 0; i < 8; ++i) paint(active.front(), 120);
    ASSERT_TRUE(active.front().wait_until([&] { return active.front().edits_waiting() == 0; }, 30s));
    const double queued = metric(port, "terrazzo_outbox_bytes");
    still = queued == before && metric(port, "terrazzo_slow_sessions") == kStalled ? still + 1 : 0;
    before = queued;
  }
  for (int i = 0; i < 40; ++i) {
    for (const auto& client : active.clients) paint(*client, 5);
    if (i % 10 == 0) paint(active.front(), 120);
  }
  for (const auto& client : active.clients) ASSERT_TRUE(client->wait_durable(30s));
  // One edit more than the bound, and little words about it. It may be less than the bound: the kernel takes more at
  // its leisure, and what is left out meanwhile is not made good before the client reads.
  const double each = metric(port, "terrazzo_outbox_bytes") / kStalled;
  EXPECT_GT(each, kConflateBytes / 4);  // with less it would be told the newest states
  EXPECT_LT(each, kConflateBytes + 128 * 1024);
  EXPECT_GT(metric(port, "terrazzo_edits_left_out_total"), kStalled);
  EXPECT_EQ(metric(port, "terrazzo_overloads_total"), 0);
  // Its own book-keeping counts, too, so that the bytes are fewer; it looks before each segment of up to 64 KiB.
  const Unsent kernel = unsent_in_kernel(port);
  EXPECT_GE(kernel.connections, kStalled);
  EXPECT_GT(kernel.most, 0u) << "nothing waits in the kernel: the test proves nothing";
  EXPECT_LE(kernel.most, (kSendBufferKib + 64) << 10);
  std::printf("%zu stalled clients: %.0f bytes queued for each, %zu in the kernel at most, %.0f edits left out\n",
              kStalled, each, kernel.most, metric(port, "terrazzo_edits_left_out_total"));

  // Somebody new is told the whole truth; the active ones have it.
  Crowd newcomer(port, 1);
  const std::vector<map::Cell> truth = cells_of(newcomer.front());
  for (const auto& client : active.clients)
    EXPECT_TRUE(client->wait_until([&] { return same_cells(cells_of(*client), truth); }, 30s));
  EXPECT_FALSE(same_cells(cells_of(stalled.front()), truth)) << "nobody was left behind: the test proves nothing";

  for (const auto& client : stalled.clients) {
    EXPECT_TRUE(client->wait_until([&] { return same_cells(cells_of(*client), truth); }, 60s));
    EXPECT_EQ(client->state(), client::State::live);
  }
  EXPECT_GE(stalled.times_behind, kStalled);
  EXPECT_TRUE(stalled.front().wait_until([&] { return stalled.times_behind == stalled.times_caught_up; }, 30s));
  EXPECT_EQ(metric(port, "terrazzo_slow_sessions"), 0);
  EXPECT_EQ(metric(port, "terrazzo_stale_shards"), 0);

  // From here on edits come to them again as to everybody.
  paint(active.front(), 50);
  ASSERT_TRUE(active.front().wait_durable(30s));
  const std::vector<map::Cell> after = cells_of(active.front());
  for (const auto& client : stalled.clients)
    EXPECT_TRUE(client->wait_until([&] { return same_cells(cells_of(*client), after); }, 30s));
}

}  // namespace
}  // namespace terrazzo::integration

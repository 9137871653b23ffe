// Clients that send what costs a server far more than it costs them (PROTOCOL.md WS-6): others are served all the
// while.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "proto/ws/deflate.h"
#include "proto/ws/frame_codec.h"
#include "tests/integration/http_peer.h"
#include "tests/integration/server_process.h"
#include "tests/net/raw_client.h"

namespace terrazzo::integration {
namespace {

using net::RawClient;

constexpr std::size_t kMiB = 1 << 20;
const std::string kHello = R"({"type":"hello","protocol":1,"client":"flood"})";

// A JSON message that says nothing in so many bytes, as a compressed frame.
std::string bomb(std::size_t size) {
  const std::string text = "[" + std::string(size - 2, ' ') + "]";
  proto::ByteBuffer frame, out;
  proto::ws::append_frame_header(proto::ws::Opcode::text, text.size(), frame);
  const auto bytes = std::as_bytes(std::span(text));
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  proto::ws::Deflater(proto::ws::Window::large).append_compressed(frame, out);
  const std::size_t header = proto::ws::header_bytes(out);
  return net::client_frame(0xC1, {reinterpret_cast<const char*>(out.data()) + header, out.size() - header});
}

RawClient join(std::uint16_t port, bool compression) {
  RawClient client(port);
  std::string request = net::upgrade_request();
  if (compression) request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  client.send(request);
  EXPECT_EQ(client.read_answer().status, 101u);
  return client;
}
void say_hello(RawClient& client) {
  client.send(net::client_frame(0x81, kHello));
  const auto welcome = client.read_any_frame();
  EXPECT_TRUE(welcome && (welcome->compressed || welcome->payload.find("welcome") != std::string::npos));
}

// Sends the same frame again and again, from several connections, for as long as it lives.
class Flood {
 public:
  Flood(std::uint16_t port, std::size_t connections, const std::string& frame, bool with_hello) {
    std::string many;
    while (many.size() < 32 * 1024) many += frame;
    for (std::size_t i = 0; i < connections; ++i) {
      threads_.emplace_back([this, port, many, with_hello] {
        RawClient client = join(port, true);
        if (with_hello) say_hello(client);
        ++running_;
        while (!over_ && client.send(many)) {
        }
        client.vanish();
      });
    }
    while (running_ != connections) std::this_thread::yield();
  }
  ~Flood() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> over_{false};
  std::atomic<std::size_t> running_{0};
  std::vector<std::thread> threads_;
};

struct Pinged {
  std::size_t answers = 0;
  double expanded_bytes = 0;  // by the server, meanwhile
};
// Pings until the server has expanded so many bytes: all are answered.
Pinged ping_through(std::uint16_t port, RawClient& client, double until_expanded) {
  using Clock = std::chrono::steady_clock;
  Pinged pinged;
  std::vector<double> milliseconds;
  const double before = metric(port, "terrazzo_expanded_bytes_total");
  while (pinged.expanded_bytes < until_expanded) {
    for (int i = 0; i < 20; ++i) {
      const Clock::time_point sent = Clock::now();
      client.send(net::client_frame(0x81, R"({"type":"ping","t":)" + std::to_string(pinged.answers) + "}"));
      const auto pong = client.read_frame();
      if (!pong || pong->payload.find("\"t\":" + std::to_string(pinged.answers)) == std::string::npos) {
        ADD_FAILURE() << "ping " << pinged.answers << " was not answered";
        return pinged;
      }
      milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - sent).count());
      ++pinged.answers;
    }
    pinged.expanded_bytes = metric(port, "terrazzo_expanded_bytes_total") - before;
  }
  std::ranges::sort(milliseconds);
  std::printf("%zu pings: p50 %.1f ms, worst %.1f ms; %.0f MiB expanded\n", milliseconds.size(),
              milliseconds[milliseconds.size() / 2], milliseconds.back(), pinged.expanded_bytes / kMiB);
  return pinged;
}

class FloodTest : public testing::Test {
 protected:
  void expect_others_are_served(const std::string& frame, bool with_hello) {
    const ServerProcess server(folder.path() / "data", {"--cores", "1"});
    ASSERT_TRUE(server.running());
    RawClient other = join(server.port(), false);
    say_hello(other);
    {
      const Flood flood(server.port(), 6, frame, with_hello);
      const Pinged pinged = ping_through(server.port(), other, 64.0 * kMiB);
      // A turn expands 256 KiB at most, and a ping takes a few. Without turns it was everything that had come.
      EXPECT_LT(pinged.expanded_bytes / static_cast<double>(pinged.answers), 4.0 * kMiB);
      EXPECT_LT(metric(server.port(), "terrazzo_unfinished_bytes"), 64.0 * kMiB);
    }
    EXPECT_EQ(metric(server.port(), "terrazzo_unfinished_refused_total"), 0);
    EXPECT_EQ(metric(server.port(), "terrazzo_protocol_errors_total"), 0);
  }
  TemporaryFolder folder;
};

TEST_F(FloodTest, OfCompressedMessagesBeforeHello) {
  expect_others_are_served(bomb(16 * 1024), false);
}

TEST_F(FloodTest, OfLargeCompressedMessagesAfterIt) {
  expect_others_are_served(bomb(kMiB), true);
}

TEST_F(FloodTest, OfHalvesOfMessagesEndsWithThoseWhoSendThem) {
  const ServerProcess server(folder.path() / "data", {"--cores", "1", "--unfinished-mib", "4"});
  ASSERT_TRUE(server.running());
  std::vector<RawClient> halves;
  const std::string whole = net::client_frame(0x81, "[" + std::string(800'000, ' ') + "]");
  for (int i = 0; i < 20; ++i) {
    halves.push_back(join(server.port(), false));
    say_hello(halves.back());
    halves.back().send(std::string_view(whole).substr(0, 500'000));
  }
  RawClient other = join(server.port(), false);
  say_hello(other);
  other.send(whole + net::client_frame(0x81, R"({"type":"ping","t":7})"));
  const auto pong = other.read_frame();
  EXPECT_TRUE(pong && pong->payload.find("pong") != std::string::npos);
  EXPECT_LE(metric(server.port(), "terrazzo_unfinished_bytes"), 4.0 * kMiB);
  EXPECT_GE(metric(server.port(), "terrazzo_unfinished_refused_total"), 10);
  const RawClient::Frame close = halves.front().read_to_close();
  EXPECT_EQ(close.close_code(), 1008);
  EXPECT_EQ(close.close_reason(), "overloaded");
}

}  // namespace
}  // namespace terrazzo::integration

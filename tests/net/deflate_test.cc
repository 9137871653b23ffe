// Compression (RFC 7692) on real connections: against Boost.Beast, and by hand where a peer breaks the rules.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "proto/ws/deflate.h"
#include "proto/ws/frame_codec.h"
#include "tests/net/beast_peer.h"
#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

constexpr const char* kJson = "terrazzo.v1.json";

std::string words(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) text += R"({"type":"set","x":)" + std::to_string(random() % 1000) + "},";
  text.resize(size);
  return text;
}

void echo(NetworkHost& host) {
  host.message = [&host](ConnectionId connection, std::string_view text) {
    host.network().send_message(connection, bytes_of(text));
  };
}

std::string request_with(const std::string& extensions, const std::string& protocol = kJson) {
  std::string request = upgrade_request(protocol);
  request.insert(request.size() - 2, "Sec-WebSocket-Extensions: " + extensions + "\r\n");
  return request;
}
// The connection that the client's handshake opens: one client after the other, as handshakes that are under way
// together end in any order.
ConnectionId open_with(NetworkHost& host, RawClient& client, const std::string& request) {
  const std::size_t before = host.opened.size();
  client.send(request);
  EXPECT_TRUE(host.run_until([&] { return host.opened.size() > before && client.readable(); }));
  EXPECT_EQ(client.read_answer().status, 101u);
  return host.opened.size() > before ? host.opened.back() : ConnectionId{};
}
// The payload of a compressed message.
std::string compressed(const std::string& text) {
  proto::ByteBuffer frame, out;
  proto::ws::append_frame_header(proto::ws::Opcode::text, text.size(), frame);
  const auto bytes = bytes_of(text);
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  proto::ws::Deflater(proto::ws::Window::large).append_compressed(frame, out);
  EXPECT_NE(std::to_integer<unsigned>(out[0]) & 0x40u, 0u) << "did not become smaller";
  const std::size_t header = proto::ws::header_bytes(out);
  return {reinterpret_cast<const char*>(out.data()) + header, out.size() - header};
}

TEST(Compression, MessagesOfEverySizeAndWindowComeBackAsTheyWere) {
  NetworkHost host;
  echo(host);
  for (const int bits : {9, 10, 12, 15}) {
    host.serve([&] {
      BeastPeer peer(host.port(), kJson, {.server_bits = bits, .client_bits = bits});
      ASSERT_TRUE(peer.open()) << bits;
      EXPECT_TRUE(peer.extensions().starts_with("permessage-deflate")) << peer.extensions();
      for (const std::size_t size : {0u, 1u, 63u, 64u, 125u, 126u, 600u, 16384u, 65536u, 1u << 20}) {
        const std::string payload = words(size, 3);
        ASSERT_TRUE(peer.send(payload, true)) << size;
        EXPECT_TRUE(peer.read() == payload) << size;
      }
      const std::string payload = words(5000, 4);
      ASSERT_TRUE(peer.send(payload, true, 100));  // in fragments
      EXPECT_TRUE(peer.read() == payload);
      EXPECT_TRUE(peer.close(1000, ""));
    });
  }
  EXPECT_GT(host.counters().compressions, 0u);
  EXPECT_LT(host.counters().compressed_to_bytes, host.counters().compressed_from_bytes / 2);
  EXPECT_EQ(host.counters().protocol_errors, 0u);
}

TEST(Compression, IsForJsonAndForThoseWhoWishItAndCanBeSwitchedOff) {
  for (const bool allowed : {true, false}) {
    NetworkHost host({.compression = allowed});
    host.serve([&] {
      RawClient json(host.port()), binary(host.port()), silent(host.port()), strange(host.port());
      json.send(request_with("permessage-deflate"));
      EXPECT_EQ(json.read_answer().fields.contains("Sec-WebSocket-Extensions"), allowed);
      binary.send(request_with("permessage-deflate", "terrazzo.v1.flatbuffers"));
      EXPECT_FALSE(binary.read_answer().fields.contains("Sec-WebSocket-Extensions"));
      silent.send(upgrade_request());
      EXPECT_FALSE(silent.read_answer().fields.contains("Sec-WebSocket-Extensions"));
      strange.send(request_with("permessage-deflate; server_max_window_bits=8"));
      const RawClient::Answer answer = strange.read_answer();
      EXPECT_EQ(answer.status, 101u);
      EXPECT_FALSE(answer.fields.contains("Sec-WebSocket-Extensions"));
    });
  }
}

TEST(Compression, AFrameIsCompressedOnceForAllWhoGetItAndNotForTheOthers) {
  constexpr int kEach = 20, kFrames = 10;
  NetworkHost host;
  std::vector<RawClient> large, small, plain;
  for (int i = 0; i < kEach; ++i) {
    large.emplace_back(host.port()).send(request_with("permessage-deflate"));
    small.emplace_back(host.port()).send(request_with("permessage-deflate; server_max_window_bits=10"));
    plain.emplace_back(host.port()).send(upgrade_request());
  }
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == 3 * kEach; }));
  std::vector<std::string> payloads;
  for (int i = 0; i < kFrames; ++i) {
    payloads.push_back(words(700, static_cast<unsigned>(i)));
    std::vector<ConnectionId> refused;
    host.network().send_if_room(host.opened, shared_frame(proto::Form::json, payloads.back()), refused);
    EXPECT_TRUE(refused.empty());
    host.tick();
  }
  EXPECT_EQ(host.counters().compressions, 2u * kFrames);
  host.serve([&] {
    for (RawClient& client : plain) {
      client.read_answer();
      for (const std::string& payload : payloads) ASSERT_EQ(client.read_frame().value().payload, payload);
    }
    for (auto* clients : {&large, &small}) {
      std::vector<std::string> first;
      for (RawClient& client : *clients) {
        client.read_answer();
        std::vector<std::string> got;
        for (int i = 0; i < kFrames; ++i) got.push_back(client.read_compressed_frame().value_or(""));
        if (first.empty()) first = got;
        ASSERT_TRUE(got == first);
      }
      proto::ws::Inflater inflater;
      proto::ByteBuffer out;
      for (int i = 0; i < kFrames; ++i) {
        const auto at = static_cast<std::size_t>(i);
        ASSERT_EQ(inflater.expand(bytes_of(first[at]), 1 << 20, out), proto::ws::Inflater::Outcome::done);
        EXPECT_EQ(std::string(reinterpret_cast<const char*>(out.data()), out.size()), payloads[at]);
      }
    }
  });
}

TEST(Compression, WhatIsLargeAndSentAgainIsNotCompressedAgain) {
  NetworkHost host;
  RawClient first(host.port()), second(host.port());
  const ConnectionId to_first = open_with(host, first, request_with("permessage-deflate"));
  const ConnectionId to_second = open_with(host, second, request_with("permessage-deflate"));
  const std::string payload = words(11'000, 8);
  const SharedBytes state = shared_frame(proto::Form::json, payload);
  for (const ConnectionId connection : {to_first, to_second}) host.network().send(std::span(&connection, 1), state);
  EXPECT_EQ(host.counters().compressions, 1u);
  EXPECT_EQ(host.counters().compressed_again, 1u);
  // More of them than are kept: the oldest is compressed anew, and nobody gets another's.
  constexpr unsigned kOthers = 6;
  const auto other = [](unsigned i) { return std::string(1'900'000, static_cast<char>('a' + i)); };
  std::vector<SharedBytes> others;
  for (unsigned i = 0; i < kOthers; ++i) {
    others.push_back(shared_frame(proto::Form::json, other(i)));
    host.network().send(std::span(&to_first, 1), others.back());
  }
  host.network().send(host.opened, state);
  EXPECT_EQ(host.counters().compressions, 2u + kOthers);
  host.serve([&] {
    proto::ws::Inflater inflater;
    proto::ByteBuffer out;
    const auto expect = [&](RawClient& client, const std::string& text) {
      const std::string got = client.read_compressed_frame().value_or("");
      ASSERT_EQ(inflater.expand(bytes_of(got), 2 << 20, out), proto::ws::Inflater::Outcome::done);
      EXPECT_TRUE(std::string_view(reinterpret_cast<const char*>(out.data()), out.size()) == text);
    };
    expect(first, payload);
    for (unsigned i = 0; i < kOthers; ++i) expect(first, other(i));
    expect(first, payload);
    expect(second, payload);
    expect(second, payload);
  });
}

// What goes to some and not to others, again and again, plain and in both windows, in more bytes than one write takes
// and than are kept compressed.
TEST(Compression, EachGetsWhatWasSentToItInItsOrder) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::size_t kClients = 6, kPayloads = 60, kRounds = 40, kSendsPerRound = 10;
  NetworkHost host;
  std::vector<RawClient> clients;
  std::vector<ConnectionId> connections;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.emplace_back(host.port(), i % 2 == 0 ? 4096 : 0);
    const std::string wish = "permessage-deflate";
    connections.push_back(open_with(host, clients.back(),
                                    i % 3 == 0   ? upgrade_request(kJson)
                                    : i % 3 == 1 ? request_with(wish)
                                                 : request_with(wish + "; server_max_window_bits=9")));
  }
  std::vector<std::string> payloads;
  std::vector<SharedBytes> frames;
  for (std::size_t i = 0; i < kPayloads; ++i) {
    constexpr std::array<std::size_t, 5> kSizes{20, 300, 3000, 40'000, 400'000};
    payloads.push_back(words(1 + random() % kSizes[i % kSizes.size()], static_cast<unsigned>(i)));
    frames.push_back(shared_frame(proto::Form::json, payloads.back()));
  }
  proto::ws::Inflater inflater;
  proto::ByteBuffer out;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::vector<std::vector<std::size_t>> due(kClients);
    for (std::size_t i = 0; i < kSendsPerRound; ++i) {
      const std::size_t what = random() % kPayloads;
      std::vector<ConnectionId> to;
      for (std::size_t client = 0; client < kClients; ++client) {
        if (random() % 2 == 0) continue;
        to.push_back(connections[client]);
        due[client].push_back(what);
      }
      host.network().send(to, frames[what]);
      if (random() % 4 == 0) host.tick();
    }
    host.serve([&] {
      for (std::size_t client = 0; client < kClients; ++client)
        for (const std::size_t what : due[client]) {
          const RawClient::Frame got = clients[client].read_any_frame().value_or(RawClient::Frame{});
          std::string_view text = got.payload;
          if (got.compressed) {
            ASSERT_EQ(inflater.expand(bytes_of(got.payload), 1 << 20, out), proto::ws::Inflater::Outcome::done);
            text = {reinterpret_cast<const char*>(out.data()), out.size()};
          }
          ASSERT_TRUE(text == payloads[what]) << "client " << client << ", round " << round;
        }
    });
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(host.counters().compressed_again, 0u);
}

TEST(Compression, WhatWouldBecomeTooLargeOrIsDamagedIsRefusedWithItsCode) {
  NetworkHost host({.message_bytes_max = 100'000});
  struct Case {
    std::string frames;
    std::uint16_t code;
  };
  const std::string bomb = compressed(std::string(1 << 20, 'x')), good = compressed(words(500, 1));
  for (const Case& wrong :
       {Case{client_frame(0xC1, bomb), 1009}, Case{client_frame(0xC1, "\xFF\xFF\xFF nonsense"), 1007},
        Case{client_frame(0xC1, good.substr(0, good.size() / 2)), 1007},
        Case{client_frame(0xC1, compressed(std::string(100, '\xFE'))), 1007},
        // RSV1 says so once, on the first frame of a message, and never on a control frame; the other bits mean
        // nothing.
        Case{client_frame(0x41, good.substr(0, 10)) + client_frame(0xC0, good.substr(10)), 1002},
        Case{client_frame(0xC9, "ping"), 1002}, Case{client_frame(0xA1, "{}"), 1002},
        Case{client_frame(0xD1, "{}"), 1002}}) {
    host.serve([&] {
      RawClient client(host.port());
      client.send(request_with("permessage-deflate"));
      EXPECT_EQ(client.read_answer().status, 101u);
      client.send(wrong.frames);
      EXPECT_EQ(client.read_to_close().close_code(), wrong.code);
    });
  }
  // Without an agreement the bit is a violation.
  host.serve([&] {
    RawClient client(host.port());
    client.send(upgrade_request());
    EXPECT_EQ(client.read_answer().status, 101u);
    client.send(client_frame(0xC1, good));
    EXPECT_EQ(client.read_to_close().close_code(), 1002);
  });
  // Messages that are not compressed may come in between.
  echo(host);
  host.serve([&] {
    RawClient client(host.port());
    client.send(request_with("permessage-deflate"));
    EXPECT_EQ(client.read_answer().status, 101u);
    client.send(client_frame(0x81, "{}") + client_frame(0x41, good.substr(0, 10)) + client_frame(0x89, "ping") +
                client_frame(0x80, good.substr(10)) + client_frame(0x81, "[]"));
    EXPECT_EQ(client.read_frame().value().payload, "{}");
    EXPECT_EQ(client.read_frame().value().payload, "ping");
    EXPECT_EQ(client.read_compressed_frame().value_or("").size(), good.size());
    EXPECT_EQ(client.read_frame().value().payload, "[]");
  });
}

}  // namespace
}  // namespace terrazzo::net

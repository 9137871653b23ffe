// What clients may make a core do at a time, and keep (PROTOCOL.md WS-6, HS-7): compressed messages are expanded in
// turns, and messages whose end has not come have a bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proto/ws/deflate.h"
#include "proto/ws/frame_codec.h"
#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kMiB = 1 << 20;
constexpr std::size_t kPerTurn = 256 * 1024;  // of a core

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
std::string compressed_frame(const std::string& text) {
  return client_frame(0xC1, compressed(text));
}

RawClient join(NetworkHost& host, bool compression) {
  RawClient client(host.port());
  std::string request = upgrade_request();
  if (compression) request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  client.send(request);
  EXPECT_TRUE(host.run_until([&] { return client.readable(); }));
  EXPECT_EQ(client.read_answer().status, 101u);
  return client;
}

// Messages as "3 7 …": the eighth of client 3.
struct Hearing {
  explicit Hearing(NetworkHost& host, std::size_t clients) : heard(clients, 0) {
    host.message = [this](ConnectionId, std::string_view text) {
      const std::string words(text.substr(0, 32));
      std::size_t end = 0;
      const std::size_t who = std::stoul(words, &end), number = std::stoul(words.substr(end));
      EXPECT_EQ(number, heard[who]) << "of client " << who;
      ++heard[who];
    };
  }
  std::vector<std::size_t> heard;
};
std::string words(std::size_t who, std::size_t number, std::size_t size) {
  std::string text = std::to_string(who) + " " + std::to_string(number) + " ";
  text.resize(std::max(size, text.size()), 'x');
  return text;
}

TEST(MessageTurns, ACoreExpandsABoundedNumberOfBytesInATurnAndOthersAreHeardInBetween) {
  constexpr std::size_t kFlooders = 12, kEach = 200, kSize = 16'000;
  NetworkHost host;
  std::vector<RawClient> flooders;
  for (std::size_t i = 0; i < kFlooders; ++i) flooders.push_back(join(host, true));
  RawClient other = join(host, false);
  Hearing hearing(host, kFlooders + 1);
  std::string flood[kFlooders];
  for (std::size_t i = 0; i < kFlooders; ++i)
    for (std::size_t n = 0; n < kEach; ++n) flood[i] += compressed_frame(words(i, n, kSize));
  for (std::size_t i = 0; i < kFlooders; ++i) EXPECT_TRUE(flooders[i].send(flood[i]));
  std::size_t said = 0, turns_with_both = 0;
  ASSERT_TRUE(host.run_until([&] {
    if (hearing.heard[kFlooders] == said) other.send(client_frame(0x81, words(kFlooders, said++, 0)));
    const std::uint64_t before = host.counters().expanded_bytes;
    const auto others_before = hearing.heard[kFlooders];
    host.tick();
    const std::uint64_t expanded = host.counters().expanded_bytes - before;
    EXPECT_LE(expanded, kPerTurn + kSize);
    turns_with_both += expanded != 0 && hearing.heard[kFlooders] != others_before ? 1 : 0;
    // Fair: nobody is further than a few turns ahead of anybody.
    const auto [least, most] = std::minmax_element(hearing.heard.begin(), hearing.heard.end() - 1);
    EXPECT_TRUE(*least == 0 || *most - *least <= kEach / 2) << *least << " and " << *most;
    return *least == kEach;
  }));
  EXPECT_GT(turns_with_both, 10u);
  EXPECT_EQ(host.counters().expanded_messages, kFlooders * kEach);
  EXPECT_EQ(host.counters().expansions_waiting, 0u);
  EXPECT_EQ(host.counters().unfinished_bytes, 0u);
  EXPECT_FALSE(host.network().wants_dispatch());
}

TEST(MessageTurns, LongMessagesTakeManyTurnsAndShortOnesDoNotWaitForThem) {
  constexpr std::size_t kLong = 30;
  NetworkHost host;
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i <= kLong; ++i) clients.push_back(join(host, true));
  Hearing hearing(host, kLong + 1);
  for (std::size_t i = 0; i < kLong; ++i) clients[i].send(compressed_frame(words(i, 0, kMiB)));
  ASSERT_TRUE(host.run_until([&] { return host.counters().expansions_waiting == kLong; }));
  EXPECT_TRUE(host.network().wants_dispatch());
  clients[kLong].send(compressed_frame(words(kLong, 0, 300)));
  ASSERT_TRUE(host.run_until([&] { return hearing.heard[kLong] == 1; }));
  EXPECT_EQ(std::count(hearing.heard.begin(), hearing.heard.end(), 1u), 1) << "before every long one";
  std::uint64_t before = host.counters().expanded_messages;
  ASSERT_TRUE(host.run_until([&] {
    // Each is decoded as a whole, so there is one to a turn.
    EXPECT_LE(host.counters().expanded_messages - before, 1u);
    before = host.counters().expanded_messages;
    return before == kLong + 1;
  }));
  EXPECT_EQ(std::count(hearing.heard.begin(), hearing.heard.end(), 1u), static_cast<long>(kLong + 1));
}

TEST(MessageTurns, WhatComesBehindACompressedMessageStaysBehindIt) {
  NetworkHost host;
  RawClient client = join(host, true);
  host.message = [&](ConnectionId connection, std::string_view text) {
    host.network().send_message(connection, bytes_of(text.substr(0, 8)));
  };
  const std::string large = compressed(words(0, 0, 700'000));
  const std::string bytes = client_frame(0xC1, large) + client_frame(0x81, "plain") +
                            client_frame(0x41, large.substr(0, 100)) + client_frame(0x89, "ping") +
                            client_frame(0x80, large.substr(100)) + compressed_frame(words(1, 1, 200)) +
                            client_frame(0x88, "\x03\xE8");
  host.serve([&] {
    for (std::size_t at = 0; at < bytes.size(); at += 77) client.send(std::string_view(bytes).substr(at, 77));
    for (const char* expected : {"0 0 xxxx", "plain", "ping", "0 0 xxxx", "1 1 xxxx", "\x03\xE8"})
      EXPECT_EQ(client.read_frame().value().payload, expected);
  });
}

TEST(MessageTurns, WhoSendsFasterThanItIsExpandedIsReadFromMoreSlowly) {
  constexpr std::size_t kMessages = 1000;
  NetworkHost host;
  RawClient client = join(host, true);
  std::string text(60'000, ' ');
  unsigned random = 1;  // becomes half of it
  for (char& c : text) c = static_cast<char>('a' + ((random = random * 1'103'515'245u + 12'345u) >> 16 & 15));
  const std::string frame = compressed_frame(text);
  ASSERT_GT(frame.size(), 25'000u);
  std::uint64_t most = 0, heard = 0;
  host.message = [&](ConnectionId, std::string_view message) {
    EXPECT_EQ(message.size(), text.size());
    most = std::max(most, host.counters().unfinished_bytes);
    ++heard;
  };
  host.serve([&] {
    for (std::size_t n = 0; n < kMessages; ++n) EXPECT_TRUE(client.send(frame));
  });
  EXPECT_TRUE(host.run_until([&] { return heard == kMessages; }));
  // Of 30 MB: what is kept behind a message, and what all buffers of the loop had when it was enough; the rest waited
  // with the client.
  EXPECT_LT(most, 10 * kMiB);
}

TEST(MessageTurns, AllIsHeardOfAClientThatEndsItsSide) {
  NetworkHost host;
  RawClient client = join(host, true);
  Hearing hearing(host, 1);
  for (std::size_t n = 0; n < 20; ++n) client.send(compressed_frame(words(0, n, 100'000)));
  client.half_close();
  ASSERT_TRUE(host.run_until([&] { return !host.closed.empty(); }));
  EXPECT_EQ(hearing.heard[0], 20u);
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
}

TEST(MessageTurns, WhoIsClosedMeanwhileIsNotHeardAnyMore) {
  NetworkHost host;
  RawClient client = join(host, true), vanishing = join(host, true);
  std::size_t heard = 0;
  host.message = [&](ConnectionId connection, std::string_view) {
    if (++heard == 1) host.network().close(connection, proto::ws::kClosePolicy, "conflict");
  };
  std::string bytes;
  for (std::size_t n = 0; n < 20; ++n) bytes += compressed_frame(words(0, n, 100'000));
  client.send(bytes + client_frame(0x88, "\x03\xE8"));
  host.serve([&] { EXPECT_EQ(client.read_to_close().close_code(), 1008); });
  EXPECT_EQ(heard, 1u);
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 1; }));
  vanishing.send(bytes);
  ASSERT_TRUE(host.run_until([&] { return host.counters().expansions_waiting == 1; }));
  vanishing.vanish();
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_TRUE(host.run_until([&] { return host.counters().expansions_waiting == 0; }));
  EXPECT_EQ(host.counters().unfinished_bytes, 0u);
}

TEST(MessageTurns, BeforeTheGreetingMessagesAreSmall) {  // HS-7
  NetworkHost host({.greeting_bytes_max = 1000});
  host.greets = false;
  const std::string small(1000, 'x'), large(1001, 'x');
  for (const std::string& wrong : {client_frame(0x81, large), compressed_frame(large)}) {
    RawClient client = join(host, true);
    host.serve([&] {
      client.send(client_frame(0x81, small) + compressed_frame(small) + wrong);
      const RawClient::Frame close = client.read_to_close();
      EXPECT_EQ(close.close_code(), 1009);
      EXPECT_EQ(close.close_reason(), "too_large");
    });
  }
  EXPECT_EQ(host.messages.size(), 4u);
  // Greeted by what the first message says, and what is behind it in the same bytes may be large.
  host.message = [&](ConnectionId connection, std::string_view text) {
    if (text == "hello") host.network().greeted(connection);
    if (text == large) host.network().close(connection, 1000, "");
  };
  RawClient client = join(host, true);
  host.serve([&] {
    client.send(client_frame(0x81, "hello") + compressed_frame(large));
    EXPECT_EQ(client.read_to_close().close_code(), 1000);
  });
}

TEST(UnfinishedMessages, HaveABoundAndWhoHasHeldTheMostForTheLongestIsClosed) {
  constexpr std::size_t kHolders = 9, kHalf = 100'000;
  NetworkHost host({.unfinished_bytes_max = kMiB});
  const std::string whole = client_frame(0x81, std::string(kHalf + 10, 'y'));
  std::vector<RawClient> holders;
  for (std::size_t i = 0; i < kHolders; ++i) {
    holders.push_back(join(host, false));
    const std::uint64_t before = host.counters().bytes_in;
    host.serve([&] { holders.back().send(std::string_view(whole).substr(0, kHalf)); });
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in >= before + kHalf; }));
    EXPECT_GE(host.counters().unfinished_bytes, kHalf);
    host.advance_ms(10);
  }
  EXPECT_LE(host.counters().unfinished_bytes, kMiB);
  const std::uint64_t refused = host.counters().unfinished_refused;
  ASSERT_GT(refused, 0u);
  ASSERT_LT(refused, kHolders / 2);
  host.serve([&] {
    for (std::size_t i = 0; i < kHolders; ++i) {
      if (i < refused) {
        const RawClient::Frame close = holders[i].read_to_close();
        EXPECT_EQ(close.close_code(), 1008) << i;
        EXPECT_EQ(close.close_reason(), "overloaded");
      } else {
        holders[i].send(std::string_view(whole).substr(kHalf));
      }
    }
  });
  ASSERT_TRUE(host.run_until([&] { return host.messages.size() == kHolders - refused; }));
  EXPECT_EQ(host.counters().unfinished_bytes, 0u);
}

// A header that promises much costs nothing; and who sends a large message at once is not the one who is closed for it.
TEST(UnfinishedMessages, PromisesAreFreeAndTheSlowPayForTheMany) {
  NetworkHost host({.unfinished_bytes_max = 2 * kMiB});
  const std::string whole = client_frame(0x81, std::string(kMiB, 'y'));
  std::vector<RawClient> slow;
  for (int i = 0; i < 60; ++i) {
    slow.push_back(join(host, false));
    slow.back().send(std::string_view(whole).substr(0, 40));
  }
  ASSERT_TRUE(host.run_until([&] { return host.counters().unfinished_bytes != 0; }));
  host.tick();
  EXPECT_LT(host.counters().unfinished_bytes, 60u * 200);
  for (RawClient& client : slow) client.send(std::string_view(whole).substr(40, 20'000));
  host.advance_ms(5000);
  RawClient quick = join(host, false);
  host.serve([&] { quick.send(whole); });
  ASSERT_TRUE(host.run_until([&] { return host.messages.size() == 1; }));
  EXPECT_EQ(host.messages[0].size(), kMiB);
  EXPECT_LE(host.counters().unfinished_bytes, 2 * kMiB);
}

}  // namespace
}  // namespace terrazzo::net

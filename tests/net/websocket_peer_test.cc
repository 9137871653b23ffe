// Against an independent implementation of the other side (Boost.Beast).
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/net/beast_peer.h"
#include "tests/net/network_host.h"

namespace terrazzo::net {
namespace {

void echo(NetworkHost& host) {
  host.message = [&host](ConnectionId connection, std::string_view text) {
    host.network().send_message(connection, bytes_of(text));
  };
}

std::string payload_of(std::size_t size, bool text, std::mt19937& random) {
  std::string payload(size, ' ');
  for (char& c : payload) c = static_cast<char>(text ? 'a' + random() % 26 : random());
  return payload;
}

TEST(WebSocketPeer, TheSubprotocolChoosesTheForm) {
  NetworkHost host;
  struct Wish {
    const char* asked;
    const char* given;
    proto::Form form;
  };
  for (const Wish& wish :
       {Wish{"terrazzo.v1.json", "terrazzo.v1.json", proto::Form::json},
        Wish{"terrazzo.v1.flatbuffers", "terrazzo.v1.flatbuffers", proto::Form::binary},
        Wish{"chess.v9, terrazzo.v1.flatbuffers, terrazzo.v1.json", "terrazzo.v1.flatbuffers", proto::Form::binary},
        Wish{"", "", proto::Form::json}}) {
    host.forms.clear();
    host.serve([&] {
      BeastPeer peer(host.port(), wish.asked);
      EXPECT_TRUE(peer.open()) << wish.asked;
      EXPECT_EQ(peer.protocol(), wish.given);
      EXPECT_TRUE(peer.close(1000, ""));
    });
    ASSERT_EQ(host.forms.size(), 1u) << wish.asked;
    EXPECT_EQ(host.forms[0], wish.form) << wish.asked;
  }
  host.serve([&] {
    BeastPeer peer(host.port(), "chess.v9");
    EXPECT_FALSE(peer.open());
    EXPECT_EQ(peer.status(), 400u);
  });
}

TEST(WebSocketPeer, MessagesOfEverySizeComeBackAsTheyWere) {
  NetworkHost host;
  echo(host);
  std::mt19937 random(11);
  for (const bool text : {true, false}) {
    host.serve([&] {
      BeastPeer peer(host.port(), text ? "terrazzo.v1.json" : "terrazzo.v1.flatbuffers");
      for (const std::size_t size : {0u, 1u, 7u, 125u, 126u, 127u, 4096u, 16384u, 65535u, 65536u, 70001u, 1u << 20}) {
        const std::string payload = payload_of(size, text, random);
        ASSERT_TRUE(peer.send(payload, text)) << size;
        const auto back = peer.read();
        ASSERT_TRUE(back) << size;
        EXPECT_TRUE(*back == payload) << size;
        EXPECT_EQ(peer.read_was_text(), text);
      }
      EXPECT_TRUE(peer.close(1000, ""));
    });
  }
}

TEST(WebSocketPeer, FragmentsMakeOneMessageAndPingsMayComeBetween) {
  NetworkHost host;
  echo(host);
  std::mt19937 random(12);
  host.serve([&] {
    BeastPeer peer(host.port(), "terrazzo.v1.flatbuffers");
    for (const std::size_t fragment : {1u, 7u, 126u, 1000u}) {
      const std::string payload = payload_of(5000, false, random);
      ASSERT_TRUE(peer.send(payload, false, fragment));
      ASSERT_TRUE(peer.ping("still there? " + std::to_string(fragment)));
      EXPECT_TRUE(peer.read() == payload) << fragment;
    }
    // Pongs are taken while reading; one more message makes sure that the last has come.
    ASSERT_TRUE(peer.send("end", false));
    EXPECT_EQ(peer.read(), "end");
    EXPECT_EQ(peer.pong(), "still there? 1000");
  });
}

TEST(WebSocketPeer, ItsCloseIsAnsweredWithItsCode) {
  NetworkHost host;
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{1000, 1001, 3000, 4999}) {
    host.serve([&] {
      BeastPeer peer(host.port(), "terrazzo.v1.json");
      EXPECT_TRUE(peer.close(code, "so long")) << code;
      EXPECT_EQ(peer.close_code(), code);
    });
  }
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.closed.size(), 4u);
  EXPECT_EQ(host.counters().protocol_errors, 0u);
}

TEST(WebSocketPeer, AMessageOfTheLimitIsTakenAndOneByteMoreIsNot) {
  NetworkHost host;
  echo(host);
  host.serve([&] {
    BeastPeer peer(host.port(), "terrazzo.v1.json");
    ASSERT_TRUE(peer.send(std::string(1 << 20, 'x'), true));
    EXPECT_EQ(peer.read().value_or("").size(), std::size_t{1} << 20);
    peer.send(std::string((1 << 20) + 1, 'x'), true);
    EXPECT_FALSE(peer.read());
    EXPECT_EQ(peer.close_code(), 1009);
    EXPECT_EQ(peer.close_reason(), "too_large");
  });
}

TEST(WebSocketPeer, TextThatIsNotUtf8IsRefused) {
  NetworkHost host;
  host.serve([&] {
    BeastPeer peer(host.port(), "terrazzo.v1.json");
    peer.send("\xFF\xFE", true);
    EXPECT_FALSE(peer.read());
    EXPECT_EQ(peer.close_code(), 1007);
  });
}

}  // namespace
}  // namespace terrazzo::net

// WebSocket at the level of bytes: what a proper client library would never send, and the clocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

// A client that has shaken hands.
RawClient connected(NetworkHost& host, std::string_view protocol = "terrazzo.v1.json", int receive_bytes = 0) {
  RawClient client(host.port(), receive_bytes);
  const std::size_t before = host.opened.size();
  client.send(upgrade_request(protocol));
  EXPECT_TRUE(host.run_until([&] { return host.opened.size() > before && client.readable(); }));
  EXPECT_EQ(client.read_answer().status, 101u);
  return client;
}

TEST(Handshake, TheAcceptKeyIsTheStandardsExample) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(upgrade_request());
  host.serve([&] {
    const RawClient::Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 101u);
    EXPECT_EQ(answer.fields.at("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455, 1.3
    EXPECT_EQ(answer.fields.at("Sec-WebSocket-Protocol"), "terrazzo.v1.json");
  });
}

struct Attempt {
  const char* name;
  std::string from, to;  // what is changed in a good request
  unsigned status;
};

TEST(Handshake, EveryPartOfItIsAskedFor) {
  NetworkHost host;
  for (const Attempt& attempt : std::vector<Attempt>{
           {"method", "GET /", "POST /", 400},
           {"version", "Version: 13", "Version: 8", 426},
           {"key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400},
           {"connection", "keep-alive, Upgrade", "keep-alive", 400},
           {"HTTP", "HTTP/1.1", "HTTP/1.0", 400},
           {"subprotocol", "terrazzo.v1.json", "chess.v9", 400},
           {"address", "/v1/ws", "/v1/sw", 404},
           {"origin", "Host: localhost", "Host: localhost\r\nOrigin: https://elsewhere", 403},
       }) {
    std::string request = upgrade_request();
    const std::size_t at = request.find(attempt.from);
    ASSERT_NE(at, std::string::npos);
    request.replace(at, attempt.from.size(), attempt.to);
    RawClient client(host.port());
    host.serve([&] {
      client.send(request);
      const RawClient::Answer answer = client.read_answer();
      EXPECT_EQ(answer.status, attempt.status) << attempt.name;
      EXPECT_EQ(answer.fields.at("Connection"), "close") << attempt.name;
      EXPECT_EQ(client.read_to_end(), "") << attempt.name;
    });
  }
  EXPECT_TRUE(host.opened.empty());
}

TEST(Handshake, APageOfThisServerMayConnect) {
  NetworkHost host;
  RawClient client(host.port());
  std::string request = upgrade_request();
  request.insert(request.find("Upgrade:"), "Origin: http://localhost\r\n");
  client.send(request);
  EXPECT_TRUE(host.run_until([&] { return host.opened.size() == 1; }));
}

TEST(Handshake, FramesMayFollowItAtOnce) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(upgrade_request() + client_frame(0x81, "early") + client_frame(0x81, "birds"));
  ASSERT_TRUE(host.run_until([&] { return host.messages.size() == 2; }));
  EXPECT_EQ(host.messages, (std::vector<std::string>{"early", "birds"}));
}

TEST(Handshake, MayFollowAPlainRequestOnTheSameConnection) {
  NetworkHost host;
  host.http = [&](ConnectionId connection, const HttpRequest&) { host.network().respond(connection, {}); };
  RawClient client(host.port());
  client.send("GET / HTTP/1.1\r\n\r\n" + upgrade_request() + client_frame(0x81, "hello"));
  ASSERT_TRUE(host.run_until([&] { return host.messages.size() == 1; }));
  host.serve([&] {
    EXPECT_EQ(client.read_answer().status, 200u);
    EXPECT_EQ(client.read_answer().status, 101u);
  });
}

struct Breach {
  const char* name;
  std::string bytes;
  std::uint16_t code;
  const char* reason;
};

TEST(Frames, EveryBreachIsAnsweredWithItsCode) {
  NetworkLimits limits;
  limits.message_bytes_max = 1000;
  NetworkHost host(limits);
  const std::vector<Breach> breaches = {
      {"unmasked", client_frame(0x81, "hi", false), 1002, "bad_message"},
      {"reserved bit", client_frame(0xC1, "hi"), 1002, "bad_message"},
      {"unknown opcode", client_frame(0x83, "hi"), 1002, "bad_message"},
      {"nothing to continue", client_frame(0x80, "hi"), 1002, "bad_message"},
      {"message within a message", client_frame(0x01, "a") + client_frame(0x81, "b"), 1002, "bad_message"},
      {"fragmented ping", client_frame(0x09, "p"), 1002, "bad_message"},
      {"long ping", client_frame(0x89, std::string(126, 'p')), 1002, "bad_message"},
      {"binary among text", client_frame(0x82, "hi"), 1002, "bad_message"},
      {"close of one byte", client_frame(0x88, "x"), 1002, "bad_message"},
      {"reserved close code", client_frame(0x88, "\x03\xEE"), 1002, "bad_message"},
      {"not UTF-8", client_frame(0x81, "\xC3\x28"), 1007, "bad_message"},
      {"UTF-8 cut short", client_frame(0x81, "\xE2\x82"), 1007, "bad_message"},
      {"surrogate", client_frame(0x81, "\xED\xA0\x80"), 1007, "bad_message"},
      {"too large", client_frame(0x81, std::string(1001, 'x')), 1009, "too_large"},
      {"too large together", client_frame(0x01, std::string(600, 'x')) + client_frame(0x80, std::string(401, 'x')),
       1009, "too_large"},
      {"absurdly large", std::string("\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04", 14), 1009,
       "too_large"},
  };
  for (const Breach& breach : breaches) {
    RawClient client = connected(host);
    host.serve([&] {
      client.send(breach.bytes);
      const RawClient::Frame goodbye = client.read_to_close();
      EXPECT_EQ(goodbye.close_code(), breach.code) << breach.name;
      EXPECT_EQ(goodbye.close_reason(), breach.reason) << breach.name;
      EXPECT_EQ(client.read_to_end(), "") << breach.name;
    });
  }
  EXPECT_TRUE(host.messages.empty());
  EXPECT_EQ(host.counters().protocol_errors, breaches.size());
  EXPECT_TRUE(host.run_until([&] { return host.closed.size() == breaches.size(); }));
}

TEST(Frames, AnOversizedMessageIsRefusedWhileItStillStreams) {
  NetworkLimits limits;
  limits.message_bytes_max = 1000;
  NetworkHost host(limits);
  RawClient client = connected(host);
  // More than the kernel holds: only if the server reads on and throws it away does the client get to read why.
  host.serve([&] {
    client.send(client_frame(0x81, std::string(20 << 20, 'x')));
    EXPECT_EQ(client.read_to_close().close_code(), 1009);
  });
}

TEST(Frames, AMessageMayComeByteByByte) {
  NetworkHost host;
  RawClient client = connected(host);
  for (const char c : client_frame(0x01, "gr\xC3") + client_frame(0x89, "p") + client_frame(0x80, "\xBC\xC3\x9F")) {
    const std::uint64_t before = host.counters().bytes_in;
    ASSERT_TRUE(client.send({&c, 1}));
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in > before; }));
  }
  EXPECT_EQ(host.messages, std::vector<std::string>{"gr\xC3\xBC\xC3\x9F"});
  host.serve([&] { EXPECT_EQ(client.read_frame().value().opcode, 10u); });
}

TEST(Close, ACloseAndAnEndInOnePieceAreAnswered) {
  NetworkHost host;
  RawClient client = connected(host);
  client.send(client_frame(0x81, "last words") + client_frame(0x88, std::string("\x03\xE8 bye", 6)));
  client.half_close();
  host.serve([&] {
    EXPECT_EQ(client.read_to_close().close_code(), 1000);
    EXPECT_EQ(client.read_to_end(), "");
  });
  EXPECT_EQ(host.messages, std::vector<std::string>{"last words"});
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.closed, host.opened);
}

TEST(Close, WhatWasQueuedBeforeComesFirst) {
  NetworkHost host;
  RawClient client = connected(host);
  const ConnectionId connection = host.opened[0];
  host.network().send_message(connection, bytes_of("one"));
  host.network().close(connection, 1008, "conflict");
  host.network().send_message(connection, bytes_of("after the end"));
  host.serve([&] {
    EXPECT_EQ(client.read_frame().value().payload, "one");
    const auto goodbye = client.read_frame();
    EXPECT_EQ(goodbye.value().close_code(), 1008);
    EXPECT_EQ(goodbye.value().close_reason(), "conflict");
    // Messages that were under way do not count any more, the answer to the close does.
    client.send(client_frame(0x81, "too late") + client_frame(0x88, goodbye->payload));
    EXPECT_EQ(client.read_to_end(), "");
  });
  EXPECT_TRUE(host.messages.empty());
  EXPECT_EQ(host.closed, host.opened);
}

TEST(Close, MayBeSaidDuringAMessage) {
  NetworkHost host;
  RawClient client = connected(host);
  host.message = [&](ConnectionId connection, std::string_view text) {
    host.messages.emplace_back(text);
    host.network().close(connection, 1008, "unsupported");
  };
  client.send(client_frame(0x81, "a") + client_frame(0x81, "b"));
  host.serve([&] { EXPECT_EQ(client.read_to_close().close_code(), 1008); });
  EXPECT_EQ(host.messages, std::vector<std::string>{"a"});
}

TEST(Close, AVanishedClientIsReportedOnce) {
  NetworkHost host;
  RawClient client = connected(host);
  client.vanish();
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.closed, host.opened);
}

TEST(StaleNames, ReachNobody) {
  NetworkHost host;
  RawClient first = connected(host);
  const ConnectionId old = host.opened[0];
  first.vanish();
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  RawClient second = connected(host);
  const ConnectionId fresh = host.opened[1];
  ASSERT_EQ(fresh.slot, old.slot);
  EXPECT_NE(fresh.generation, old.generation);
  host.network().send_message(old, bytes_of("for the first"));
  const std::vector<ConnectionId> both{old, {old.slot + 1000, 1}, {}};
  host.network().send(both, shared_frame(proto::Form::json, "for the first"));
  host.network().close(old, 1008, "conflict");
  host.network().respond(old, {});
  EXPECT_EQ(host.network().outbox_bytes(old), 0u);
  host.network().send_message(fresh, bytes_of("for the second"));
  host.serve([&] { EXPECT_EQ(second.read_frame().value().payload, "for the second"); });
  EXPECT_EQ(host.closed.size(), 1u);
}

TEST(Clocks, AnIdleClientIsPingedAndASilentOneDropped) {
  NetworkLimits limits;
  NetworkHost host(limits);
  RawClient alive = connected(host), dead = connected(host);
  for (int i = 0; i < 4; ++i) {
    host.advance_ms(limits.ping_interval_ms + 1000);
    if (i < 2) {
      ASSERT_TRUE(host.run_until([&] { return alive.readable() && dead.readable(); })) << i;
      EXPECT_EQ(dead.read_frame().value().opcode, 9u) << i;
    } else {
      ASSERT_TRUE(host.run_until([&] { return alive.readable(); })) << i;
    }
    const auto ping = alive.read_frame();
    EXPECT_EQ(ping.value().opcode, 9u) << i;
    const std::uint64_t before = host.counters().bytes_in;
    alive.send(client_frame(0x8A, ping->payload));
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in > before; }));
  }
  EXPECT_EQ(host.counters().open, 1u);
  EXPECT_EQ(host.closed, std::vector<ConnectionId>{host.opened[1]});
  EXPECT_EQ(host.counters().timeouts, 1u);
}

}  // namespace
}  // namespace terrazzo::net

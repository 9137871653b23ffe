// Sending: gathered by tick, shared between viewers, bounded for who does not read.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

RawClient connected(NetworkHost& host, int receive_bytes = 0) {
  RawClient client(host.port(), receive_bytes);
  const std::size_t before = host.opened.size();
  client.send(upgrade_request("terrazzo.v1.flatbuffers"));
  EXPECT_TRUE(host.run_until([&] { return host.opened.size() > before && client.readable(); }));
  EXPECT_EQ(client.read_answer().status, 101u);
  return client;
}

TEST(Sending, WhatATickQueuedGoesInOneWrite) {
  NetworkHost host;
  RawClient client = connected(host);
  const std::uint64_t before = host.counters().sends;
  for (int i = 0; i < 200; ++i) host.network().send_message(host.opened[0], bytes_of("message " + std::to_string(i)));
  ASSERT_TRUE(host.run_until([&] { return host.network().outbox_bytes(host.opened[0]) == 0; }));
  EXPECT_EQ(host.counters().sends, before + 1);
  host.serve([&] {
    for (int i = 0; i < 200; ++i) EXPECT_EQ(client.read_frame().value().payload, "message " + std::to_string(i));
  });
}

TEST(Sending, MoreThanOneWriteTakesKeepsItsOrder) {
  constexpr int kMessages = 5000;
  NetworkHost host;
  RawClient client = connected(host, 4096);
  // Of many sizes, so that short writes end anywhere in a frame.
  const auto payload = [](int i) { return std::string(static_cast<std::size_t>(i * 37 % 3000), static_cast<char>(i)); };
  for (int i = 0; i < kMessages; ++i) {
    const std::string text = payload(i);
    host.network().send(host.opened, shared_frame(proto::Form::binary, text));
    if (i % 700 == 0) host.tick();
  }
  host.serve([&] {
    for (int i = 0; i < kMessages; ++i) ASSERT_TRUE(client.read_frame().value().payload == payload(i)) << i;
  });
  EXPECT_TRUE(host.run_until([&] { return host.network().outbox_bytes(host.opened[0]) == 0; }));
}

TEST(Sending, FiveHundredConnectionsGetEveryFrame) {
  constexpr int kConnections = 500, kFrames = 20;
  NetworkHost host;
  std::vector<RawClient> clients;
  for (int i = 0; i < kConnections; ++i) {
    clients.emplace_back(host.port());
    clients.back().send(upgrade_request("terrazzo.v1.flatbuffers"));
  }
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == kConnections; }));
  for (int frame = 0; frame < kFrames; ++frame) {
    host.network().send(host.opened, shared_frame(proto::Form::binary, "frame " + std::to_string(frame)));
    if (frame % 5 == 0) host.tick();
  }
  host.serve([&] {
    for (RawClient& client : clients) {
      ASSERT_EQ(client.read_answer().status, 101u);
      for (int frame = 0; frame < kFrames; ++frame)
        ASSERT_EQ(client.read_frame().value().payload, "frame " + std::to_string(frame));
    }
  });
  EXPECT_EQ(host.counters().messages_out, std::uint64_t{kConnections} * kFrames);
  clients.clear();
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.closed.size(), std::size_t{kConnections});
}

TEST(SlowClient, IsClosedAsOverloadedAndTheOthersGoOn) {
  NetworkLimits limits;
  limits.outbox_bytes_max = 1 << 20;
  NetworkHost host(limits);
  RawClient slow = connected(host, 4096), quick = connected(host);
  const SharedBytes frame = shared_frame(proto::Form::binary, std::string(64 << 10, 'f'));
  for (int i = 0; i < 1000 && host.counters().overloads == 0; ++i) {
    host.network().send(host.opened, frame);
    host.serve([&] { EXPECT_EQ(quick.read_frame().value_or(RawClient::Frame{}).payload.size(), 64u << 10); });
  }
  ASSERT_EQ(host.counters().overloads, 1u);
  ASSERT_TRUE(host.run_until([&] { return !host.closed.empty(); }));
  EXPECT_EQ(host.closed, std::vector<ConnectionId>{host.opened[0]});
  EXPECT_LT(host.network().outbox_bytes(host.opened[0]), (std::size_t{1} << 20) + 2 * frame.size());
  // If it begins to read after all, it gets whole frames and then the reason.
  host.serve([&] {
    const RawClient::Frame goodbye = slow.read_to_close();
    EXPECT_EQ(goodbye.close_code(), 1008);
    EXPECT_EQ(goodbye.close_reason(), "overloaded");
  });
  host.network().send(host.opened, shared_frame(proto::Form::binary, "after"));
  host.serve([&] { EXPECT_EQ(quick.read_frame().value_or(RawClient::Frame{}).payload.size(), 5u); });
  EXPECT_EQ(host.counters().overloads, 1u);
}

TEST(SlowClient, IsRefusedWhatCanWaitUntilThereIsRoom) {
  NetworkLimits limits;
  limits.outbox_room_bytes = 256 << 10;
  NetworkHost host(limits);
  RawClient slow = connected(host, 4096), quick = connected(host);
  const SharedBytes frame = shared_frame(proto::Form::binary, std::string(64 << 10, 'f'));
  std::vector<ConnectionId> refused;
  std::size_t sent = 0;
  for (; sent < 1000 && refused.empty(); ++sent) {
    host.network().send_if_room(host.opened, frame, refused);
    host.serve([&] { EXPECT_EQ(quick.read_frame().value_or(RawClient::Frame{}).payload.size(), 64u << 10); });
  }
  ASSERT_EQ(refused, std::vector<ConnectionId>{host.opened[0]});
  EXPECT_GT(host.network().outbox_bytes(host.opened[0]), 256u << 10);
  EXPECT_LE(host.network().outbox_bytes(host.opened[0]), (256u << 10) + frame.size());
  EXPECT_EQ(host.counters().outbox_bytes, host.network().outbox_bytes(host.opened[0]));
  host.network().tell_room(host.opened[0]);
  host.network().send_message(host.opened[0], bytes_of("what cannot wait"));
  host.tick();
  EXPECT_TRUE(host.roomy.empty());
  host.serve([&] {
    for (std::size_t i = 0; i + 1 < sent; ++i)
      ASSERT_EQ(slow.read_frame().value_or(RawClient::Frame{}).payload.size(), 64u << 10) << i;
    EXPECT_EQ(slow.read_frame().value_or(RawClient::Frame{}).payload, "what cannot wait");
  });
  ASSERT_TRUE(host.run_until([&] { return host.counters().outbox_bytes == 0; }));
  EXPECT_EQ(host.roomy, std::vector<ConnectionId>{host.opened[0]}) << "told once";
  refused.clear();
  host.network().send_if_room(host.opened, frame, refused);
  EXPECT_TRUE(refused.empty());
  EXPECT_EQ(host.counters().overloads, 0u);
}

TEST(SlowClient, ThatNeverReadsIsGoneWhenItsTimeIsOver) {
  NetworkLimits limits;
  limits.outbox_bytes_max = 1 << 20;
  NetworkHost host(limits);
  RawClient slow = connected(host, 4096);
  const SharedBytes frame = shared_frame(proto::Form::binary, std::string(1 << 20, 'f'));
  ASSERT_TRUE(host.run_until([&] {
    host.network().send(host.opened, frame);
    return host.counters().overloads > 0;
  }));
  host.advance_ms(3000);
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
}

TEST(SlowClient, ThatPingsAndReadsNoPongsIsClosedToo) {
  NetworkLimits limits;
  limits.outbox_bytes_max = 256 << 10;
  NetworkHost host(limits);
  RawClient client = connected(host, 4096);
  std::string pings;
  for (int i = 0; i < 400; ++i) pings += client_frame(0x89, std::string(125, 'p'));
  std::string_view rest = pings;
  ASSERT_TRUE(host.run_until([&] {
    const long count = client.send_some(rest);
    EXPECT_GE(count, 0);
    rest.remove_prefix(static_cast<std::size_t>(std::max(count, 0L)));
    if (rest.empty()) rest = pings;
    return count < 0 || host.counters().overloads > 0;
  }));
  EXPECT_EQ(host.counters().overloads, 1u);
}

}  // namespace
}  // namespace terrazzo::net

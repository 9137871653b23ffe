// Many connections at once: those that are in are served first, newcomers in their order, a bounded number per tick.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

NetworkLimits few_per_tick(std::uint32_t turns) {
  NetworkLimits limits;
  limits.newcomer_turns_per_tick = turns;
  return limits;
}

// Connected, and known for longer than a newcomer is one.
RawClient resident(NetworkHost& host) {
  RawClient client(host.port());
  client.send(upgrade_request("terrazzo.v1.flatbuffers"));
  EXPECT_TRUE(host.run_until([&] { return !host.opened.empty() && client.readable(); }));
  EXPECT_EQ(client.read_answer().status, 101u);
  for (std::size_t i = 1; i <= 8; ++i) {
    client.send(client_frame(0x82, "settling in"));
    EXPECT_TRUE(host.run_until([&] { return host.messages.size() == i; }));
  }
  host.messages.clear();
  return client;
}

TEST(Newcomers, ABoundedNumberIsLetInPerTickAndInTheEndAll) {
  constexpr std::uint32_t kTurns = 8, kClients = 200;
  NetworkHost host(few_per_tick(kTurns));
  std::vector<RawClient> clients;
  for (std::uint32_t i = 0; i < kClients; ++i) {
    clients.emplace_back(host.port());
    clients.back().send(upgrade_request());
  }
  std::uint64_t accepted = host.counters().accepted;
  std::size_t opened = 0;
  ASSERT_TRUE(host.run_until([&] {
    const std::uint64_t accepted_now = host.counters().accepted;
    const std::size_t opened_now = host.opened.size();
    EXPECT_LE(accepted_now - accepted, kTurns) << "in one tick";
    EXPECT_LE(opened_now - opened, kTurns) << "in one tick";
    EXPECT_EQ(host.network().wants_dispatch(), host.counters().newcomers_waiting != 0);
    accepted = accepted_now;
    opened = opened_now;
    return opened == kClients;
  }));
  EXPECT_FALSE(host.network().wants_dispatch());
  EXPECT_EQ(host.counters().newcomers_waiting, 0u);
  host.serve([&] {
    for (RawClient& client : clients) EXPECT_EQ(client.read_answer().status, 101u);
  });
}

TEST(Newcomers, DoNotDelayThoseWhoAreIn) {
  constexpr std::size_t kClients = 100;
  NetworkHost host(few_per_tick(1));
  RawClient client = resident(host);
  client.send(client_frame(0x82, "before them"));
  std::vector<RawClient> newcomers;
  for (std::size_t i = 0; i < kClients; ++i) {
    newcomers.emplace_back(host.port());
    newcomers.back().send(upgrade_request());
  }
  ASSERT_TRUE(host.run_until([&] { return host.messages.size() == 1; }));
  EXPECT_LT(host.opened.size(), kClients);
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == kClients + 1; }));
}

TEST(Newcomers, WhatWaitsStaysInItsOrder) {
  constexpr std::size_t kClients = 20, kMessages = 30;
  NetworkHost host(few_per_tick(1));
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < kClients; ++i) clients.emplace_back(host.port());
  // In pieces that end anywhere, turn by turn, with ticks between.
  std::vector<std::string> bytes(kClients, upgrade_request("terrazzo.v1.flatbuffers"));
  for (std::size_t i = 0; i < kClients; ++i)
    for (std::size_t m = 0; m < kMessages; ++m)
      bytes[i] += client_frame(0x82, std::to_string(i) + " says " + std::to_string(m));
  std::vector<std::size_t> heard(kClients, 0);
  std::size_t all = 0;
  host.message = [&](ConnectionId, std::string_view text) {
    const std::string words(text);
    const std::size_t who = std::stoul(words);
    EXPECT_EQ(words, std::to_string(who) + " says " + std::to_string(heard[who]));
    ++heard[who];
    ++all;
  };
  for (std::size_t at = 0; at < bytes.back().size(); at += 171) {
    for (std::size_t i = 0; i < kClients; ++i)
      if (at < bytes[i].size()) clients[i].send(std::string_view(bytes[i]).substr(at, 171));
    host.tick();
  }
  EXPECT_TRUE(host.run_until([&] { return all == kClients * kMessages; }));
  EXPECT_GT(host.counters().newcomer_waits, 0u);
}

TEST(Newcomers, WhoSendsMoreThanIsKeptIsNotMadeToWait) {
  constexpr std::size_t kPayload = 64 << 10, kMessages = 48;
  NetworkHost host(few_per_tick(1));
  // Somebody else takes the turns: one request after the other, each on a connection of its own.
  std::vector<RawClient> others;
  RawClient eager(host.port());
  ASSERT_TRUE(host.run_until([&] { return host.counters().accepted == 1; }));
  std::size_t received = 0;
  host.message = [&](ConnectionId, std::string_view text) {
    ASSERT_EQ(text.size(), kPayload);
    ASSERT_EQ(text.front(), static_cast<char>('a' + received % 26));
    ++received;
  };
  for (int i = 0; i < 300; ++i) {
    others.emplace_back(host.port());
    others.back().send("GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
  }
  host.serve([&] {
    eager.send(upgrade_request("terrazzo.v1.flatbuffers"));
    for (std::size_t i = 0; i < kMessages; ++i)
      eager.send(client_frame(0x82, std::string(kPayload, static_cast<char>('a' + i % 26))));
  });
  EXPECT_TRUE(host.run_until([&] { return received == kMessages; }));
}

TEST(Newcomers, ThatEndWhileTheyWaitAreHeardToTheEnd) {
  NetworkHost host(few_per_tick(1));
  host.http = [&](ConnectionId connection, const HttpRequest& request) {
    host.requests.push_back({connection, {}, std::string(request.target), {}, {}, {}});
    host.network().respond(connection, {});
  };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<RawClient>(host.port()));
    clients.back()->send("GET /" + std::to_string(i) + " HTTP/1.1\r\nConnection: close\r\n\r\n");
    if (i % 3 == 1) clients.back()->half_close();
    if (i % 3 == 2) clients.back()->vanish();
  }
  host.serve([&] {
    for (std::size_t i = 0; i < 60; ++i) {
      if (i % 3 == 2) continue;  // gone
      EXPECT_EQ(clients[i]->read_answer().status, 200u) << i;
    }
  });
  for (auto& client : clients) client.reset();
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.counters().newcomers_waiting, 0u);
}

}  // namespace
}  // namespace terrazzo::net

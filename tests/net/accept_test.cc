// Coming and going: limits on connections and descriptors, draining, stopping.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

constexpr const char* kGet = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n";

void answer_all(NetworkHost& host) {
  host.http = [&host](ConnectionId connection, const HttpRequest&) { host.network().respond(connection, {}); };
}

TEST(Accept, ConnectionsAboveTheLimitAreToldSo) {
  NetworkLimits limits;
  limits.connections_max = 2;
  NetworkHost host(limits);
  answer_all(host);
  auto first = std::make_unique<RawClient>(host.port());
  RawClient second(host.port());
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 2; }));
  RawClient third(host.port());
  host.serve([&] {
    third.send(kGet);
    const RawClient::Answer answer = third.read_answer();
    EXPECT_EQ(answer.status, 503u);
    EXPECT_NE(answer.body.find("overloaded"), std::string::npos);
    third.half_close();
    EXPECT_EQ(third.read_to_end(), "");
  });
  EXPECT_EQ(host.counters().overloads, 1u);
  // Room again once one has left.
  first.reset();
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 1; }));
  RawClient fourth(host.port());
  host.serve([&] {
    fourth.send(kGet);
    EXPECT_EQ(fourth.read_answer().status, 200u);
  });
}

TEST(Accept, WithoutDescriptorsItPausesAndComesBack) {
  NetworkHost host;
  answer_all(host);
  RawClient client(host.port()), another(host.port());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // The lowest free number is the limit: nothing new can be opened.
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(next, 0);
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  // Both may have been accepted by the time the limit falls, so more knock meanwhile.
  std::vector<RawClient> others;
  for (int i = 0; i < 3; ++i) others.emplace_back(host.port());
  const std::uint64_t accepted = host.counters().accepted;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 20; ++i) host.tick();
  const std::uint64_t meanwhile = host.counters().accepted;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_LT(meanwhile, accepted + 5);
  // The pause is by the network's clock; when it is over, everybody is let in.
  host.advance_ms(1000);
  EXPECT_TRUE(host.run_until([&] { return host.counters().accepted == 5; }));
  host.serve([&] {
    client.send(kGet);
    EXPECT_EQ(client.read_answer().status, 200u);
  });
}

TEST(Drain, WebSocketsAreTold1012AndAnswersUnderWayStillComeOut) {
  NetworkHost host;
  RawClient socket(host.port()), asking(host.port()), idle(host.port());
  socket.send(upgrade_request());
  asking.send(kGet);
  ASSERT_TRUE(host.run_until(
      [&] { return host.opened.size() == 1 && host.requests.size() == 1 && host.counters().open == 3; }));
  host.network().send_message(host.opened[0], bytes_of("the last news"));
  host.network().drain();
  EXPECT_FALSE(host.network().drained());
  host.serve([&] {
    EXPECT_EQ(socket.read_answer().status, 101u);
    EXPECT_EQ(socket.read_frame().value().payload, "the last news");
    const RawClient::Frame goodbye = socket.read_to_close();
    EXPECT_EQ(goodbye.close_code(), 1012);
    EXPECT_EQ(goodbye.close_reason(), "going_away");
    socket.send(client_frame(0x88, goodbye.payload));
    EXPECT_EQ(socket.read_to_end(), "");
    EXPECT_EQ(idle.read_to_end(), "");
  });
  EXPECT_EQ(host.closed, host.opened);
  EXPECT_FALSE(host.network().drained());  // one request is unanswered
  host.network().respond(host.requests[0].connection, {});
  host.serve([&] {
    EXPECT_EQ(asking.read_answer().fields.at("Connection"), "close");
    asking.half_close();
    EXPECT_EQ(asking.read_to_end(), "");
  });
  EXPECT_TRUE(host.run_until([&] { return host.network().drained(); }));
}

TEST(Drain, AnAnswerThatIsOnItsWayIsNotCut) {
  NetworkHost host;
  RawClient client(host.port(), 4096);
  client.send(kGet);
  ASSERT_TRUE(host.run_until([&] { return host.requests.size() == 1; }));
  HttpResponse response;
  response.body.assign(6 << 20, 'x');
  host.network().respond(host.requests[0].connection, std::move(response));
  host.tick();
  host.network().drain();
  host.serve([&] {
    EXPECT_EQ(client.read_answer().body.size(), std::size_t{6} << 20);
    EXPECT_EQ(client.read_to_end(), "");
  });
  EXPECT_TRUE(host.run_until([&] { return host.network().drained(); }));
}

TEST(Drain, WhoDoesNotAnswerTheCloseIsNotWaitedForLong) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(upgrade_request());
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == 1; }));
  host.network().drain();
  for (int i = 0; i < 5; ++i) host.tick();
  EXPECT_FALSE(host.network().drained());
  host.advance_ms(3000);
  EXPECT_TRUE(host.run_until([&] { return host.network().drained(); }));
}

// Under AddressSanitizer: memory that the kernel still writes to or reads from may not go away.
TEST(Stop, EndsWhateverIsUnderWay) {
  NetworkHost host;
  host.http = [&](ConnectionId connection, const HttpRequest& request) {
    HttpResponse response;
    response.body.assign(8 << 20, 'x');
    if (request.target == "/large") host.network().respond(connection, std::move(response));
  };
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(host.port(), 4096);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].send(i % 4 == 0   ? upgrade_request()
                    : i % 4 == 1 ? "GET /large HTTP/1.1\r\n\r\n"
                    : i % 4 == 2 ? "GET /never HTTP/1.1\r\n\r\n"
                                 : "GET /");
  }
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == 5 && host.counters().http_requests == 10; }));
  for (const ConnectionId connection : host.opened) {
    const std::string payload(1 << 20, 'm');
    for (int i = 0; i < 8; ++i) host.network().send_message(connection, bytes_of(payload));
  }
  host.tick();
  host.network().stop();
  EXPECT_EQ(host.counters().open, 0u);
  EXPECT_EQ(host.closed.size(), 5u);
}

TEST(Stop, TheDestructorWaitsForTheKernelAndTellsNobody) {
  NetworkHost host;
  RawClient client(host.port(), 4096), silent(host.port());
  client.send(upgrade_request());
  ASSERT_TRUE(host.run_until([&] { return host.opened.size() == 1 && host.counters().open == 2; }));
  const std::string payload(8 << 20, 'm');
  host.network().send_message(host.opened[0], bytes_of(payload));
  host.tick();
  host.destroy_network();
  EXPECT_TRUE(host.closed.empty());
  client.read_to_end();
  EXPECT_EQ(silent.read_to_end(), "");
}

}  // namespace
}  // namespace terrazzo::net

// Plain HTTP over real sockets: whole requests, one at a time, whatever pieces they come in and however the client
// behaves.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

constexpr const char* kGet = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n";

// Answers every request with its method, address and body.
void answer_all(NetworkHost& host) {
  host.http = [&host](ConnectionId connection, const HttpRequest& request) {
    HttpResponse response;
    response.body = std::string(request.method) + " " + std::string(request.target) + " " + std::string(request.body);
    host.network().respond(connection, std::move(response));
  };
}

TEST(Http, AConnectionServesOneRequestAfterAnother) {
  NetworkHost host;
  answer_all(host);
  RawClient client(host.port());
  host.serve([&] {
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(client.send("GET /a?b=" + std::to_string(i) + " HTTP/1.1\r\nHost: here\r\n\r\n"));
      const RawClient::Answer answer = client.read_answer();
      EXPECT_EQ(answer.status, 200u);
      EXPECT_EQ(answer.body, "GET /a?b=" + std::to_string(i) + " ");
      EXPECT_EQ(answer.fields.at("Connection"), "keep-alive");
      EXPECT_EQ(answer.fields.at("Content-Type"), "application/json");
    }
  });
  EXPECT_EQ(host.counters().accepted, 1u);
  EXPECT_EQ(host.counters().http_requests, 3u);
}

TEST(Http, WhatTheServicesSeeIsWhatTheClientSent) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(
      "PUT /v1/worlds/w/assets/x HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nAuthorization: Bearer abc\r\n"
      "Content-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(host.run_until([&] { return !host.requests.empty(); }));
  const NetworkHost::Request& request = host.requests[0];
  EXPECT_EQ(request.method, "PUT");
  EXPECT_EQ(request.target, "/v1/worlds/w/assets/x");
  EXPECT_EQ(request.body, "hello");
  EXPECT_EQ(request.content_type, "image/png");
  EXPECT_EQ(request.authorization, "Bearer abc");
}

TEST(Http, AnAnswerMayComeLater) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(kGet);
  ASSERT_TRUE(host.run_until([&] { return !host.requests.empty(); }));
  for (int i = 0; i < 3; ++i) host.tick();
  EXPECT_FALSE(client.readable());
  host.network().respond(
      host.requests[0].connection,
      {.status = 404, .content_type = "text/plain", .body = "late", .extra_headers = "X-More: yes\r\n"});
  // A second answer to the same request is nobody's.
  host.network().respond(host.requests[0].connection,
                         {.status = 500, .content_type = "text/plain", .body = "twice", .extra_headers = {}});
  ASSERT_TRUE(host.run_until([&] { return client.readable(); }));
  const RawClient::Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 404u);
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.fields.at("X-More"), "yes");
  EXPECT_FALSE(client.readable());
}

TEST(Http, ARequestMayComeByteByByte) {
  NetworkHost host;
  answer_all(host);
  RawClient client(host.port());
  for (const char c : std::string("POST /v1/worlds HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")) {
    ASSERT_TRUE(client.send({&c, 1}));
    const std::uint64_t before = host.counters().bytes_in;
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in > before; }));
  }
  host.serve([&] { EXPECT_EQ(client.read_answer().body, "POST /v1/worlds abc"); });
}

TEST(Http, BodiesOfMegabytesAndBodiesInChunksArriveWhole) {
  NetworkHost host;
  answer_all(host);
  std::string large(5'000'000, '\0');
  std::mt19937 random(7);
  for (char& c : large) c = static_cast<char>(random());
  RawClient client(host.port());
  host.serve([&] {
    client.send("PUT /large HTTP/1.1\r\nHost: here\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n");
    client.send(large);
    EXPECT_TRUE(client.read_answer().body == "PUT /large " + large);
    client.send(
        "PUT /c HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_answer().body, "PUT /c abc0123456789");
  });
}

TEST(Http, AHeadHasNoBodyButItsLength) {
  NetworkHost host;
  answer_all(host);
  RawClient client(host.port());
  host.serve([&] {
    client.send("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n");
    EXPECT_EQ(client.read_answer(true).fields.at("Content-Length"), "7");
    client.send(kGet);  // had there been a body, this answer would begin with it
    EXPECT_EQ(client.read_answer().status, 200u);
  });
}

TEST(Http, AClientThatAsksFirstIsToldToGoOn) {
  NetworkHost host;
  answer_all(host);
  RawClient client(host.port());
  host.serve([&] {
    client.send("PUT /x HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(client.read_answer().status, 100u);
    client.send("abc");
    EXPECT_EQ(client.read_answer().body, "PUT /x abc");
  });
}

// Requests that came early are answered one by one, in their order, with no deeper stack for more of them.
TEST(Http, ThousandsOfRequestsAtOnceAreAnsweredInOrder) {
  constexpr int kRequests = 40'000;
  NetworkHost host;
  RawClient client(host.port());
  client.send("GET /first HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(host.run_until([&] { return host.requests.size() == 1; }));
  std::string all;
  for (int i = 0; i < kRequests; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\n\r\n";
  ASSERT_LT(all.size(), std::size_t{1} << 20);
  const std::uint64_t before = host.counters().bytes_in;
  host.serve([&] { ASSERT_TRUE(client.send(all)); });
  ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in == before + all.size(); }));
  answer_all(host);
  host.network().respond(host.requests[0].connection, {});  // all the others wait for this
  host.serve([&] {
    ASSERT_EQ(client.read_answer().status, 200u);
    for (int i = 0; i < kRequests; ++i) ASSERT_EQ(client.read_answer().body, "GET /" + std::to_string(i) + " ");
  });
}

TEST(Http, TheViewsOfARequestOutliveItsAnswer) {
  NetworkHost host;
  std::string seen;
  host.http = [&](ConnectionId connection, const HttpRequest& request) {
    host.network().respond(connection, {});
    seen = std::string(request.target) + std::string(request.body);
  };
  RawClient client(host.port());
  const std::string body(1000, 'b'), target = "/" + std::string(200, 't');
  host.serve([&] {
    client.send("PUT " + target + " HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + body + kGet);
    EXPECT_EQ(client.read_answer().status, 200u);
  });
  EXPECT_TRUE(seen == target + body || seen == "/healthz");
}

// What is held for a client that asks and asks and never reads: one answer, not all of them.
TEST(Http, AClientThatReadsNoAnswersIsHeldOneOfThem) {
  NetworkHost host;
  int asked = 0;
  host.http = [&](ConnectionId connection, const HttpRequest&) {
    ++asked;
    EXPECT_EQ(host.network().outbox_bytes(connection), 0u);
    HttpResponse response;
    response.body.assign(8 << 20, 'x');
    host.network().respond(connection, std::move(response));
  };
  RawClient client(host.port(), 4096);
  std::string all;
  for (int i = 0; i < 100; ++i) all += kGet;
  client.send(all);
  ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in == all.size() && host.counters().sends > 0; }));
  for (int i = 0; i < 20; ++i) host.tick();
  EXPECT_EQ(asked, 1);
}

TEST(Http, AClientThatSendsOnWhileItsAnswerIsDueIsCutOff) {
  NetworkHost host;
  RawClient client(host.port());
  client.send(kGet);
  ASSERT_TRUE(host.run_until([&] { return !host.requests.empty(); }));
  const std::string more(65536, 'x');
  std::size_t sent = 0;
  ASSERT_TRUE(host.run_until([&] {
    const long count = client.send_some(more);
    if (count > 0) sent += static_cast<std::size_t>(count);
    return count < 0 || host.counters().open == 0;
  }));
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  // What the kernel had of it at the moment may be some MiB.
  EXPECT_LT(host.counters().bytes_in, std::uint64_t{16} << 20);
  host.network().respond(host.requests[0].connection, {});  // nobody's any more
  host.tick();
}

struct Refusal {
  const char* name;
  std::string request;
  unsigned status;
  const char* code;
};

TEST(Http, BadRequestsAreToldWhyAndTheConnectionEnds) {
  NetworkLimits limits;
  limits.http_header_bytes_max = 1024;
  limits.http_body_bytes_max = 1000;
  NetworkHost host(limits);
  answer_all(host);
  const std::vector<Refusal> refusals = {
      {"no HTTP", "\x16\x03\x01 hello there\r\n\r\n", 400, "bad_message"},
      {"length", "PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "bad_message"},
      {"two lengths", "PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "bad_message"},
      {"header", "GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", 431, "too_large"},
      {"endless header", "GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'), 431, "too_large"},
      // Refused by its header: the body never has to come.
      {"announced body", "PUT / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, "too_large"},
      {"chunks", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + std::string(2048, 'x'), 413,
       "too_large"},
      {"foreign page", "GET / HTTP/1.1\r\nHost: here\r\nOrigin: http://elsewhere\r\n\r\n", 403, "forbidden"},
  };
  for (const Refusal& refusal : refusals) {
    RawClient client(host.port());
    host.serve([&] {
      client.send(refusal.request);
      const RawClient::Answer answer = client.read_answer();
      EXPECT_EQ(answer.status, refusal.status) << refusal.name;
      EXPECT_EQ(answer.fields.at("Connection"), "close") << refusal.name;
      EXPECT_EQ(answer.fields.at("Content-Type"), "application/problem+json") << refusal.name;
      EXPECT_NE(answer.body.find("\"title\":\"" + std::string(refusal.code) + "\""), std::string::npos) << answer.body;
      EXPECT_EQ(client.read_to_end(), "") << refusal.name;
    });
  }
  EXPECT_EQ(host.counters().protocol_errors, refusals.size() - 1);
  EXPECT_EQ(host.counters().origins_refused, 1u);
  EXPECT_EQ(host.counters().http_requests, 0u);
}

TEST(Http, ABodyOfExactlyTheLimitIsTaken) {
  NetworkLimits limits;
  limits.http_body_bytes_max = 1000;
  NetworkHost host(limits);
  answer_all(host);
  RawClient client(host.port());
  host.serve([&] {
    client.send("PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
    EXPECT_EQ(client.read_answer().status, 200u);
  });
}

TEST(Http, TheConnectionEndsWhereTheClientWantsThat) {
  NetworkHost host;
  answer_all(host);
  for (const char* request : {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    RawClient client(host.port());
    host.serve([&] {
      client.send(request);
      EXPECT_EQ(client.read_answer().fields.at("Connection"), "close");
      EXPECT_EQ(client.read_to_end(), "");
    });
  }
}

// Many programs close their sending half after the last request (nc -N, some proxies).
TEST(Http, AClientThatHalfClosedStillGetsItsAnswers) {
  NetworkHost host;
  answer_all(host);
  RawClient at_once(host.port());
  at_once.send(std::string(kGet) + kGet);
  at_once.half_close();
  host.serve([&] {
    EXPECT_EQ(at_once.read_answer().status, 200u);
    EXPECT_EQ(at_once.read_answer().status, 200u);
    EXPECT_EQ(at_once.read_to_end(), "");
  });

  host.http = nullptr;
  RawClient later(host.port());
  later.send(kGet);
  later.half_close();
  ASSERT_TRUE(host.run_until([&] { return !host.requests.empty(); }));
  for (int i = 0; i < 5; ++i) host.tick();
  HttpResponse response;
  response.body.assign(3'000'000, 'x');
  host.network().respond(host.requests[0].connection, std::move(response));
  host.serve([&] {
    EXPECT_EQ(later.read_answer().body.size(), 3'000'000u);
    EXPECT_EQ(later.read_to_end(), "");
  });
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
}

TEST(Http, ASlowRequestIsCutOffAndASlowUploadIsNot) {
  NetworkLimits limits;
  NetworkHost host(limits);
  answer_all(host);
  RawClient silent(host.port()), trickling(host.port()), uploading(host.port());
  trickling.send("GET / HT");
  uploading.send("PUT /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 3 && host.counters().bytes_in > 50; }));
  host.advance_ms(limits.handshake_timeout_ms / 2);
  trickling.send("T");
  host.advance_ms(limits.handshake_timeout_ms);
  host.serve([&] {
    EXPECT_EQ(silent.read_to_end(), "");
    EXPECT_EQ(trickling.read_answer().status, 408u);
    trickling.half_close();
    EXPECT_EQ(trickling.read_to_end(), "");
  });
  ASSERT_TRUE(host.run_until([&] { return host.counters().open == 1; }));
  EXPECT_EQ(host.counters().timeouts, 2u);
  // 25 kB a second, for 40 s.
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t before = host.counters().bytes_in;
    ASSERT_TRUE(uploading.send(std::string(25'000, 'u')));
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in == before + 25'000; }));
    host.advance_ms(1000);
  }
  host.serve([&] { EXPECT_EQ(uploading.read_answer().status, 200u); });
}

TEST(Http, AnUploadThatStopsIsCutOff) {
  NetworkLimits limits;
  NetworkHost host(limits);
  RawClient client(host.port());
  client.send("PUT /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nabc");
  ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in > 0; }));
  host.advance_ms(limits.idle_timeout_ms + 1000);
  host.serve([&] { EXPECT_EQ(client.read_answer().status, 408u); });
  // Whoever does not take the end is not waited for.
  host.advance_ms(3000);
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; }));
  EXPECT_EQ(host.counters().timeouts, 1u);
}

TEST(Http, AConnectionIsKeptWithoutRequestsForItsTimeAndALaterHeaderHasItsOwn) {
  NetworkLimits limits;
  limits.keep_alive_ms = 5 * limits.handshake_timeout_ms;
  NetworkHost host(limits);
  answer_all(host);
  RawClient resting(host.port()), slow(host.port());
  host.serve([&] {
    for (RawClient* client : {&resting, &slow}) {
      client->send(kGet);
      EXPECT_EQ(client->read_answer().status, 200u);
    }
  });
  host.advance_ms(2 * limits.handshake_timeout_ms);
  host.serve([&] {
    resting.send(kGet);
    EXPECT_EQ(resting.read_answer().status, 200u);
  });
  const auto trickle = [&](const char* bytes) {
    const std::uint64_t before = host.counters().bytes_in;
    slow.send(bytes);
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in > before; }));
  };
  trickle("GET / HT");
  host.advance_ms(limits.handshake_timeout_ms / 2);
  trickle("TP/1.1\r\nA:");
  host.advance_ms(limits.handshake_timeout_ms);
  host.serve([&] { EXPECT_EQ(slow.read_answer().status, 408u); });
  EXPECT_EQ(host.counters().timeouts, 1u);
  EXPECT_FALSE(resting.readable());
  host.advance_ms(limits.keep_alive_ms);
  host.serve([&] { EXPECT_EQ(resting.read_to_end(), ""); });
  EXPECT_EQ(host.counters().timeouts, 1u);  // it was just not used any more
}

TEST(Http, ClientsThatVanishAtAnyPointLeaveNothingBehind) {
  NetworkHost host;
  HttpResponse large;
  large.body.assign(4 << 20, 'x');
  host.http = [&](ConnectionId connection, const HttpRequest& request) {
    if (request.target != "/never") host.network().respond(connection, large);
  };
  for (const char* bytes : {"", "GET / HT", "PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
                            "GET /never HTTP/1.1\r\n\r\n", "GET /large HTTP/1.1\r\n\r\n"}) {
    const std::uint64_t accepted = host.counters().accepted, heard = host.counters().bytes_in;
    RawClient client(host.port(), 4096);
    client.send(bytes);
    ASSERT_TRUE(host.run_until([&] {
      return host.counters().accepted > accepted && host.counters().bytes_in == heard + std::string_view(bytes).size();
    })) << bytes;
    host.tick();
    client.vanish();
    EXPECT_TRUE(host.run_until([&] { return host.counters().open == 0; })) << bytes;
  }
  EXPECT_EQ(host.counters().closed, host.counters().accepted);
}

TEST(Http, ABodyThatNobodyMayBringIsRefusedBeforeItComes) {
  NetworkHost host;
  answer_all(host);
  for (const char* expect : {"", "Expect: 100-continue\r\n"}) {
    RawClient client(host.port());
    host.serve([&] {
      client.send("PUT /x HTTP/1.1\r\nHost: h\r\nAuthorization: a stranger\r\n" + std::string(expect) +
                  "Content-Length: 1000000\r\n\r\n");
      EXPECT_EQ(client.read_answer().status, 401u);
    });
  }
  EXPECT_TRUE(host.requests.empty());
}

TEST(Http, GarbageNeverDisturbsTheOthers) {
  const char* fixed = std::getenv("TERRAZZO_SEED");
  const unsigned seed = fixed ? static_cast<unsigned>(std::atoll(fixed)) : std::random_device{}();
  SCOPED_TRACE("TERRAZZO_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  NetworkHost host;
  answer_all(host);
  RawClient other(host.port());
  for (int round = 0; round < 200; ++round) {
    // Sometimes the start of something sensible.
    std::string bytes = round % 3 == 0 ? std::string(kGet).substr(0, random() % 30) : "";
    if (round % 3 == 1) bytes = upgrade_request();
    for (auto i = random() % 400; i > 0; --i) bytes.push_back(static_cast<char>(random()));
    RawClient client(host.port());
    const std::uint64_t before = host.counters().bytes_in;
    client.send(bytes);
    ASSERT_TRUE(host.run_until([&] { return host.counters().bytes_in >= before + bytes.size(); }));
    if (random() % 2 == 0) client.vanish();
  }
  host.serve([&] {
    other.send(kGet);
    EXPECT_EQ(other.read_answer().status, 200u);
  });
  EXPECT_TRUE(host.run_until([&] { return host.counters().open == 1; }));
}

}  // namespace
}  // namespace terrazzo::net

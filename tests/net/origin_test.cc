// Pages of other sites: who may use the server from a browser (CORS, and WebSockets, to which browsers apply no CORS).
#include <gtest/gtest.h>

#include <string>

#include "tests/net/network_host.h"
#include "tests/net/raw_client.h"

namespace terrazzo::net {
namespace {

constexpr const char* kFriend = "https://studio.example";

NetworkLimits allowing(const std::vector<std::string>& origins) {
  NetworkLimits limits;
  limits.origins = *OriginRules::allowing(origins);
  return limits;
}

class Origins : public testing::Test {
 protected:
  explicit Origins(const NetworkLimits& limits = allowing({kFriend})) : host(limits) {
    host.http = [this](ConnectionId connection, const HttpRequest&) { host.network().respond(connection, {}); };
  }
  RawClient::Answer ask(const std::string& method, const std::string& fields) {
    RawClient::Answer answer;
    RawClient client(host.port());
    host.serve([&] {
      client.send(method + " /v1/worlds HTTP/1.1\r\nHost: here\r\n" + fields + "\r\n");
      answer = client.read_answer();
    });
    return answer;
  }
  static std::string field(const RawClient::Answer& answer, const std::string& name) {
    const auto found = answer.fields.find(name);
    return found == answer.fields.end() ? "" : found->second;
  }

  NetworkHost host;
};

TEST_F(Origins, AnAllowedPageMayReadTheAnswer) {
  const RawClient::Answer answer = ask("GET", std::string("Origin: ") + kFriend + "\r\n");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(field(answer, "Access-Control-Allow-Origin"), kFriend);
  EXPECT_EQ(field(answer, "Vary"), "Origin");
}

TEST_F(Origins, PagesOfTheServerAndProgramsNeedNoLeave) {
  for (const char* fields : {"", "Origin: http://here\r\n"}) {
    const RawClient::Answer answer = ask("GET", fields);
    EXPECT_EQ(answer.status, 200u) << fields;
    EXPECT_EQ(field(answer, "Access-Control-Allow-Origin"), "") << fields;
    EXPECT_EQ(field(answer, "Vary"), "Origin") << fields;  // what a cache keeps is not for others
  }
}

TEST_F(Origins, OtherPagesAreRefusedAndCounted) {
  const std::vector<std::string> others = {"https://evil.example",
                                           "http://studio.example",
                                           "https://studio.example:8443",
                                           "https://studio.example.evil.example",
                                           "https://here.evil.example",
                                           "null",
                                           "here",
                                           "https://\"quoted\""};
  for (const std::string& origin : others) {
    const RawClient::Answer answer = ask("GET", "Origin: " + origin + "\r\n");
    EXPECT_EQ(answer.status, 403u) << origin;
    EXPECT_EQ(field(answer, "Access-Control-Allow-Origin"), "") << origin;
    EXPECT_NE(answer.body.find("--allow-origin"), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("\"title\":\"forbidden\""), std::string::npos) << answer.body;
    EXPECT_EQ(answer.body.find("\"quoted\""), std::string::npos) << "it would not be JSON any more: " << answer.body;
  }
  EXPECT_EQ(host.counters().origins_refused, others.size());
  EXPECT_EQ(host.counters().http_requests, 0u);
}

TEST_F(Origins, AForeignPagesBodyIsNotWaitedFor) {
  EXPECT_EQ(ask("PUT", "Origin: https://evil.example\r\nContent-Length: 1000000\r\n").status, 403u);
}

TEST_F(Origins, APreflightSaysWhatMayBeSent) {
  const std::string wish = "Access-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: authorization\r\n";
  const RawClient::Answer answer = ask("OPTIONS", std::string("Origin: ") + kFriend + "\r\n" + wish);
  EXPECT_EQ(answer.status, 204u);
  EXPECT_EQ(field(answer, "Access-Control-Allow-Origin"), kFriend);
  EXPECT_NE(field(answer, "Access-Control-Allow-Methods").find("DELETE"), std::string::npos);
  EXPECT_NE(field(answer, "Access-Control-Allow-Methods").find("PATCH"), std::string::npos);
  EXPECT_NE(field(answer, "Access-Control-Allow-Headers").find("Authorization"), std::string::npos);
  EXPECT_FALSE(answer.fields.contains("Content-Length"));  // RFC 9110, 8.6
  EXPECT_EQ(ask("OPTIONS", "Origin: https://evil.example\r\n" + wish).status, 403u);
  EXPECT_EQ(ask("OPTIONS", "").status, 200u);  // nobody's preflight: the services answer
}

TEST_F(Origins, WebSocketsAreJudgedLikewise) {
  for (const auto& [origin, status] : {std::pair(kFriend, 101u), {"https://evil.example", 403u}}) {
    RawClient client(host.port());
    host.serve([&] {
      std::string request = upgrade_request();
      request.insert(request.find("Upgrade:"), std::string("Origin: ") + origin + "\r\n");
      client.send(request);
      EXPECT_EQ(client.read_answer().status, status) << origin;
    });
  }
  EXPECT_EQ(host.opened.size(), 1u);
}

TEST(OriginRulesOf, WhatIsNoOriginIsSaid) {
  for (const char* bad :
       {"", "studio.example", "https://", "https://a/b", "https://a/", "https://a b", "://a", "https://a\r\nb"})
    EXPECT_EQ(OriginRules::allowing({bad}).error().code, ErrorCode::bad_message) << bad;
}

TEST(OriginRulesOf, OriginsAreComparedAsBrowsersWriteThem) {
  const OriginRules rules = *OriginRules::allowing({"HTTPS://Studio.Example:443", "http://localhost:3000"});
  EXPECT_EQ(rules.refusal("https://studio.example", "here"), "");
  EXPECT_EQ(rules.refusal("http://localhost:3000", "here"), "");
  EXPECT_NE(rules.refusal("http://localhost", "here"), "");
  EXPECT_NE(rules.refusal("https://studio.example:444", "here"), "");
}

TEST(OriginRulesOf, AStarAllowsAll) {
  const OriginRules rules = *OriginRules::allowing({"*"});
  EXPECT_EQ(rules.refusal("https://anybody.example", "here"), "");
  EXPECT_TRUE(rules.is_guest("https://anybody.example", "here"));
  EXPECT_FALSE(rules.is_guest("https://any\r\nSet-Cookie: x", "here"));
}

// Whoever can make his own name mean 127.0.0.1 would else be a page of the server itself.
TEST(OriginRulesOf, WithoutTokensOnlyThisMachineIsAnswered) {
  OriginRules rules;
  rules.only_this_machine();
  for (const char* host :
       {"", "localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3:1", "[::1]", "[::1]:8080"})
    EXPECT_EQ(rules.refusal("", host), "") << host;
  for (const char* host :
       {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "127.evil", "localhost.evil", "[::2]", "::1"})
    EXPECT_NE(rules.refusal("", host), "") << host;
}

}  // namespace
}  // namespace terrazzo::net

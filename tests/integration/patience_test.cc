// What a server does about those who are slow or say nothing, with little patience so that nobody waits for long.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/http_peer.h"
#include "tests/integration/server_process.h"
#include "tests/net/raw_client.h"

namespace terrazzo::integration {
namespace {

// A machine that is busy may keep a client from saying its first word in time, or the server from pinging before it
// gives up: then what is tested has not happened, and the client comes again.
template <class Attempt>
bool succeeds_once(Attempt attempt) {
  for (int i = 0; i < 50; ++i)
    if (attempt()) return true;
  return false;
}

TEST(Patience, AHeaderHasItsTime) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--handshake-timeout-ms", "300"});
  ASSERT_TRUE(server.running());
  EXPECT_TRUE(succeeds_once([&] {
    net::RawClient slow(server.port());
    slow.send("GET / HT");
    const auto answer = slow.read_to_end();
    return answer && answer->starts_with("HTTP/1.1 408 ");
  }));
  net::RawClient silent(server.port());
  EXPECT_EQ(silent.read_to_end(), "");
}

TEST(Patience, AConnectionThatRestsAfterAnAnswerHasItsTime) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--keep-alive-ms", "300"});
  ASSERT_TRUE(server.running());
  net::RawClient resting(server.port());
  resting.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(resting.read_answer().status, 200u);
  EXPECT_EQ(resting.read_to_end(), "");
}

TEST(Patience, ASilentWebSocketIsPingedAndThenGivenUp) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--ping-interval-ms", "200", "--silence-max-ms", "900"});
  ASSERT_TRUE(server.running());
  EXPECT_TRUE(succeeds_once([&] {
    net::RawClient socket(server.port());
    socket.send(net::upgrade_request());
    EXPECT_EQ(socket.read_answer().status, 101u);
    const auto ping = socket.read_any_frame();  // and no pong for it
    const bool ended = socket.read_to_end().has_value();
    EXPECT_TRUE(ended);
    return ping && ping->opcode == 9u && ended;
  }));
  EXPECT_NE(http(server.port(), "GET", "/metrics").body.find("terrazzo_timeouts_total"), std::string::npos);
}

TEST(Patience, HeadersAndBodiesHaveTheSizesOfTheFlags) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--http-header-bytes-max", "2048", "--http-body-mib-max", "1"});
  ASSERT_TRUE(server.running());
  net::RawClient large(server.port()), heavy(server.port());
  large.send("GET /healthz HTTP/1.1\r\nA: " + std::string(3000, 'a') + "\r\n\r\n");
  EXPECT_EQ(large.read_answer().status, 431u);
  heavy.send("POST /v1/worlds HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n");
  EXPECT_EQ(heavy.read_answer().status, 413u);
}

TEST(Patience, TimesThatContradictEachOtherAreRefused) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--ping-interval-ms", "2000", "--silence-max-ms", "1000"}, 0,
                             false);
  EXPECT_FALSE(server.running());
  EXPECT_NE(server.log().find("--silence-max-ms"), std::string::npos) << server.log();
}

}  // namespace
}  // namespace terrazzo::integration

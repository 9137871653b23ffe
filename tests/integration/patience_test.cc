// What a server does about those who are slow or say nothing, with little patience so that nobody waits for long.
#include <gtest/gtest.h>

#include "tests/integration/http_peer.h"
#include "tests/integration/server_process.h"
#include "tests/net/raw_client.h"

namespace terrazzo::integration {
namespace {

TEST(Patience, HeadersRestingConnectionsAndSilentWebSocketsHaveTheTimesOfTheFlags) {
  const TemporaryFolder folder;
  const ServerProcess server(folder.path() / "data", {"--handshake-timeout-ms", "300", "--keep-alive-ms", "300",
                                                      "--ping-interval-ms", "200", "--silence-max-ms", "900",
                                                      "--http-header-bytes-max", "2048", "--http-body-mib-max", "1"});
  ASSERT_TRUE(server.running());
  net::RawClient slow(server.port()), silent(server.port()), resting(server.port()), socket(server.port());
  slow.send("GET / HT");
  resting.send("GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
  socket.send(net::upgrade_request());
  EXPECT_EQ(resting.read_answer().status, 200u);
  EXPECT_EQ(socket.read_answer().status, 101u);
  EXPECT_EQ(slow.read_answer().status, 408u);
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(resting.read_to_end(), "");
  EXPECT_EQ(socket.read_frame().value_or(net::RawClient::Frame{}).opcode, 9u);  // a ping, and no pong for it
  EXPECT_TRUE(socket.read_to_end());
  const std::string metrics = http(server.port(), "GET", "/metrics").body;
  EXPECT_NE(metrics.find("terrazzo_timeouts_total"), std::string::npos);

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

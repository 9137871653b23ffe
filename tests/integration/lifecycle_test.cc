#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";

TEST(Lifecycle, SigtermTellsClientsAndKeepsEverything) {
  TemporaryFolder folder;
  {
    ServerProcess server(folder.path() / "data");
    make_world(server.port(), "w");
    WebSocketPeer peer(server.port(), "terrazzo.v1.json");
    peer.send_text(R"([{"type":"hello","protocol":1},{"type":"open","world":"w"}])");
    peer.send_text(
        R"({"type":"edit","id":1,"ack":"applied","ops":[{"op":"fill","layer":1,"rect":[-40,5,80,1],"cell":9}]})");
    ASSERT_TRUE(peer.read_until("\"ack\""));
    const auto began = std::chrono::steady_clock::now();
    const int status = server.terminate();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << "\n" << server.log();
    EXPECT_TRUE(peer.read_until("going_away"));
    EXPECT_EQ(peer.close_code(), 1012);
  }
  ServerProcess server(folder.path() / "data");
  WebSocketPeer peer(server.port(), "terrazzo.v1.json");
  peer.send_text(
      R"([{"type":"hello","protocol":1},{"type":"open","world":"w"},{"type":"subscribe","sub":1,"rect":[-40,0,80,32]}])");
  int chunks = 0;
  for (auto message = peer.read(); message && message->find("subscribed") == std::string::npos; message = peer.read())
    chunks += message->find(R"("type":"chunk")") != std::string::npos ? 1 : 0;
  EXPECT_EQ(chunks, 4);
}

TEST(Lifecycle, AServerStartedWithRoomForFewFilesTakesWhatItMay) {
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  const rlimit few{256, own.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &own), 0);
  std::ifstream limits("/proc/" + std::to_string(server.pid()) + "/limits");
  std::string line;
  while (std::getline(limits, line) && line.find("Max open files") == std::string::npos) continue;
  rlim_t soft = 0, hard = 0;
  ASSERT_EQ(std::sscanf(line.c_str(), "Max open files %lu %lu", &soft, &hard), 2) << line;
  EXPECT_EQ(soft, own.rlim_max);
  EXPECT_EQ(hard, own.rlim_max);
}

TEST(Lifecycle, TheNumberOfCoresMayChangeBetweenRuns) {
  TemporaryFolder folder;
  for (const char* cores : {"1", "2", "1"}) {
    ServerProcess server(folder.path() / "data", {"--cores", cores});
    if (cores == std::string("1") && http(server.port(), "GET", "/v1/worlds/w").status == 404)
      make_world(server.port(), "w");
    WebSocketPeer peer(server.port(), "terrazzo.v1.json");
    peer.send_text(R"([{"type":"hello","protocol":1},{"type":"open","world":"w"}])");
    // Over the corner of four shards: a coordinated edit.
    peer.send_text(R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[-5,-5,10,10],"cell":9}]})");
    const auto ack = peer.read_until("\"ack\"");
    ASSERT_TRUE(ack);
    EXPECT_NE(ack->find("[-1,-1,"), std::string::npos);
    EXPECT_NE(ack->find("[0,0,"), std::string::npos);
    server.kill();
  }
  ServerProcess server(folder.path() / "data");
  WebSocketPeer peer(server.port(), "terrazzo.v1.json");
  peer.send_text(
      R"([{"type":"hello","protocol":1},{"type":"open","world":"w"},{"type":"subscribe","sub":1,"rect":[-5,-5,10,10]}])");
  const auto subscribed = peer.read_until("subscribed");
  ASSERT_TRUE(subscribed);
  EXPECT_NE(subscribed->find("[-1,-1,3]"), std::string::npos) << *subscribed;
}

TEST(Lifecycle, TwoServersDoNotShareAFolder) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data");
  const Ran second =
      run_program(kServer, {"--data", (folder.path() / "data").string(), "--listen", "127.0.0.1:0", "--auth", "none"});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_NE(second.output.find("in use by another server (process " + std::to_string(server.pid())), std::string::npos)
      << second.output;
}

TEST(Lifecycle, WrongFlagsAreExplained) {
  const Ran open = run_program(kServer, {"--auth", "none", "--listen", "0.0.0.0:0"});
  EXPECT_NE(open.exit_code, 0);
  EXPECT_NE(open.output.find("loopback"), std::string::npos) << open.output;
  const Ran address = run_program(kServer, {"--listen", "nonsense"});
  EXPECT_NE(address.exit_code, 0);
  EXPECT_NE(address.output.find("HOST:PORT"), std::string::npos) << address.output;
}

TEST(Lifecycle, HealthcheckAnswersByItsExitCode) {
  TemporaryFolder folder;
  std::string url;
  {
    ServerProcess server(folder.path() / "data");
    url = server.http_url();
    EXPECT_EQ(run_program(kServer, {"healthcheck", "--url", url}).exit_code, 0);
  }
  EXPECT_NE(run_program(kServer, {"healthcheck", "--url", url}).exit_code, 0);
}

}  // namespace
}  // namespace terrazzo::integration

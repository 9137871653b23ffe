// A disk whose syncs take 200 ms each.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <string>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "scripted_life.h"

namespace terrazzo::integration {
namespace {

constexpr int kShards = 24;

// 4.5 s for clients that do not go, and a checkpoint of a shard takes three syncs: one after the other they would be 20
// s.
TEST(SlowDisk, AServerThatIsToStopIsGoneInFiveSecondsAndLosesNothing) {
  const TemporaryFolder folder(memory_folder());
  const std::filesystem::path data = folder.path() / "data", slow = folder.path() / "slow";
  std::filesystem::create_directory(data);
  {
    ShimSettings shim(data, 0, EIO, {});
    shim.set("TERRAZZO_FAULT_SLOW_SYNCS", slow.string());
    ServerProcess server(data, {"--cores", "1", "--io", "epoll", "--file-io", "threads"});
    make_world(server.port(), "w");
    WebSocketPeer peer(server.port(), "terrazzo.v1.json");
    peer.send_text(R"([{"type":"hello","protocol":1},{"type":"open","world":"w"}])");
    for (int shard = 0; shard < kShards; ++shard) {
      peer.send_text(R"({"type":"edit","id":)" + std::to_string(shard + 1) +
                     R"(,"ack":"durable","ops":[{"op":"fill","layer":1,"rect":[)" + std::to_string(shard * 8192) +
                     R"(,0,100,100],"cell":9}]})");
      ASSERT_TRUE(peer.read_until("\"durable\":true")) << shard << server.log();
    }
    std::ofstream(slow) << "from now on";
    // The peer neither reads nor answers the close.
    const auto began = std::chrono::steady_clock::now();
    const int status = server.terminate();
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_LT(took, std::chrono::milliseconds(5900));
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << server.log();
  }
  ServerProcess server(data);
  WebSocketPeer peer(server.port(), "terrazzo.v1.json");
  peer.send_text(R"([{"type":"hello","protocol":1},{"type":"open","world":"w"}])");
  for (int shard = 0; shard < kShards; ++shard) {
    peer.send_text(R"({"type":"subscribe","sub":1,"rect":[)" + std::to_string(shard * 8192) + ",0,32,32]}");
    const auto chunk = peer.read_until("\"chunk\"");
    ASSERT_TRUE(chunk) << shard;
    EXPECT_NE(chunk->find("\"fill\":9"), std::string::npos) << *chunk;
    ASSERT_TRUE(peer.read_until("subscribed"));
  }
}

}  // namespace
}  // namespace terrazzo::integration

// A shard's file is cut off or replaced under a running server, or lacks its newest root when it is opened: that shard
// says why it refuses, everything else goes on, nothing dies.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DamagedFile : public testing::Test {
 protected:
  DamagedFile() {
    make_world(server_.port(), "w", 1000);
    client_ = enter(server_.port());
    // Every chunk of an area with pages of its own, in two shards.
    for (const int x : {0, 8192}) {
      for (int row = 0; row < 30; ++row) {
        client::EditDraft draft;
        for (int column = 0; column < 30; ++column)
          draft.set(1, {x + column * 32, row * 32}, map::Cell{static_cast<std::uint32_t>(1 + row + column)});
        EXPECT_TRUE(client_->edit(draft).ok());
      }
    }
    EXPECT_TRUE(client_->wait_durable(10s));
  }
  std::string shard_path(int x) const {
    const fs::path worlds = folder_.path() / "data" / "worlds";
    return fs::directory_iterator(worlds)->path() / (std::to_string(x) + "_0.shard");
  }
  // What becomes of an edit of each chunk of a shard.
  std::optional<Error> paint_all(int x, std::uint32_t tile) {
    std::optional<Error> refusal;
    for (int chunk = 0; chunk < 900 && !refusal; ++chunk) {
      const auto edit =
          client_->edit(client::EditDraft().set(1, {x + chunk % 30 * 32 + 1, chunk / 30 * 32}, map::Cell{tile}));
      EXPECT_TRUE(edit.ok());
      client_->wait_until([&] { return client_->is_durable(*edit) || client_->rejection(*edit).has_value(); }, 10s);
      refusal = client_->rejection(*edit);
    }
    return refusal;
  }

  TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "data"};
  std::unique_ptr<client::Client> client_;
};

TEST_F(DamagedFile, CutOffWhileInUse) {
  fs::resize_file(shard_path(0), 40 * 4096);
  const auto refusal = paint_all(0, 7);
  ASSERT_TRUE(refusal.has_value()) << "nobody noticed";
  EXPECT_EQ(refusal->code, ErrorCode::read_only);
  EXPECT_NE(refusal->message.find("cut it off"), std::string::npos) << refusal->message;
  // The other shard takes edits, and the server answers.
  EXPECT_FALSE(paint_all(8192, 8).has_value());
  EXPECT_EQ(http(server_.port(), "GET", "/healthz").status, 200u);
  EXPECT_NE(server_.log().find("cut it off"), std::string::npos);
  client_->close();
  EXPECT_EQ(server_.terminate(), 0);
}

TEST_F(DamagedFile, BackupsOfACutOffShardFailWithWords) {
  fs::resize_file(shard_path(0), 40 * 4096);
  ASSERT_EQ(http(server_.port(), "POST", "/v1/backups", R"({"name":"b"})").status, 202u);
  std::string state;
  do state = http(server_.port(), "GET", "/v1/backups").body;
  while (state.find("\"running\":true") != std::string::npos);
  EXPECT_EQ(state.find("\"problem\":\"\""), std::string::npos) << state;
  EXPECT_FALSE(fs::exists(folder_.path() / "data/backups/b/manifest.json"));
  EXPECT_FALSE(paint_all(8192, 8).has_value());
}

// Two edits of a shard, each made durable by a checkpoint of its own, and another shard; no server runs.
class LostRoot : public testing::Test {
 protected:
  LostRoot() {
    for (const std::uint32_t tile : {5u, 6u}) {
      ServerProcess server(data_);
      if (tile == 5) make_world(server.port(), "w", 1000);
      const auto client = enter(server.port());
      EXPECT_TRUE(client->edit(client::EditDraft().set(1, {7, 7}, map::Cell{tile})).ok());
      EXPECT_TRUE(client->edit(client::EditDraft().set(1, {8200, 7}, map::Cell{tile})).ok());
      EXPECT_TRUE(client->wait_durable(10s));
      server.kill();
    }
    fs::copy(data_ / "wal", log_, fs::copy_options::recursive);
    ServerProcess server(data_);  // recovers: a checkpoint of both shards, and the log is put away
    EXPECT_EQ(server.terminate(), 0);
  }
  static std::optional<map::Cell> shown(client::Client& client, int x) {
    const auto view = client.subscribe(map::Rect::of_size(x, 7, 1, 1));
    EXPECT_TRUE(client.wait_until([&] { return client.is_ready(*view); }, 10s));
    return client.read(1, {x, 7});
  }
  // The root of the second checkpoint is on page 0.
  void damage_newest_root() const {
    std::fstream file(fs::directory_iterator(data_ / "worlds")->path() / "0_0.shard",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(50);
    file.put('?');
  }

  TemporaryFolder folder_;
  fs::path data_ = folder_.path() / "data", log_ = folder_.path() / "wal";
};

TEST_F(LostRoot, IsToldInsteadOfShowingWhatWasBefore) {
  damage_newest_root();
  {
    ServerProcess server(data_);
    const auto client = enter(server.port());
    EXPECT_EQ(shown(*client, 8200), map::Cell{6});
    const auto edit = client->edit(client::EditDraft().set(1, {8, 8}, map::Cell{9}));
    ASSERT_TRUE(client->wait_until([&] { return client->rejection(*edit).has_value(); }, 10s));
    for (const char* words : {"0_0.shard: page 0", "backup", "--accept-log-loss"})
      EXPECT_NE(client->rejection(*edit)->message.find(words), std::string::npos) << client->rejection(*edit)->message;
    EXPECT_EQ(server.terminate(), 0);
  }
  const auto told = [](const ServerProcess& server) {
    const std::string log = server.log();  // of all starts on the folder
    int times = 0;
    for (std::size_t at = log.find("given up"); at != std::string::npos; at = log.find("given up", at + 1)) ++times;
    return times;
  };
  for (const char* flag : {"--accept-log-loss", "--pin"}) {  // the second start needs no flag
    ServerProcess server(data_, {flag});
    const auto client = enter(server.port());
    EXPECT_EQ(shown(*client, 7), map::Cell{5});
    EXPECT_EQ(told(server), 1) << server.log();
  }
}

TEST_F(LostRoot, IsNoLossWhereTheLogGoesOn) {
  damage_newest_root();
  fs::remove_all(data_ / "wal");
  fs::copy(log_, data_ / "wal", fs::copy_options::recursive);
  ServerProcess server(data_);
  const auto client = enter(server.port());
  EXPECT_EQ(shown(*client, 7), map::Cell{6});
}

// The branch may have been painted here after the older root, and that part of the log sealed.
TEST_F(LostRoot, IsToldWhereTheLogGoesOnWithoutAWordOfABranch) {
  {
    ServerProcess server(data_);
    ASSERT_EQ(http(server.port(), "POST", "/v1/worlds/w/branches", R"({"name":"b"})").status, 201u);
    EXPECT_EQ(server.terminate(), 0);
  }
  damage_newest_root();
  fs::remove_all(data_ / "wal");
  fs::copy(log_, data_ / "wal", fs::copy_options::recursive);
  const Ran refused = run_program(TERRAZZO_BIN_DIR "/terrazzo-server",
                                  {"--data", data_.string(), "--listen", "127.0.0.1:0", "--cores", "1"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.output.find("--accept-log-loss"), std::string::npos) << refused.output;
  ServerProcess server(data_, {"--accept-log-loss"});
  const auto client = enter(server.port());
  EXPECT_EQ(shown(*client, 7), map::Cell{6});
}

}  // namespace
}  // namespace terrazzo::integration

// A shard's file is cut off or replaced under a running server: that shard refuses edits and says why, everything else
// goes on, nothing dies.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DamagedFile : public testing::Test {
 protected:
  DamagedFile() {
    make_world(server_.port(), "w", 1000);
    client::ConnectOptions options;
    options.url = server_.websocket_url();
    client_ = std::make_unique<client::Client>(options);
    EXPECT_TRUE(client_->connect().ok());
    EXPECT_TRUE(client_->open("w").ok());
    EXPECT_TRUE(client_->wait_live(10s).ok());
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

}  // namespace
}  // namespace terrazzo::integration

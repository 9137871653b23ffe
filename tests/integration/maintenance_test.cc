// terrazzo-server inspect and verify, on a folder that a real server has filled.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server/io/data_directory.h"
#include "server/io/read_only_page_file.h"
#include "server/maintenance/directory_check.h"
#include "server/storage/shard_store.h"
#include "server_process.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";

// Two shards, three layers' worth of pages, a version, an undo point; stopped cleanly.
void fill(const fs::path& data) {
  ServerProcess server(data, {"--segment-mib", "1"});
  make_world(server.port(), "w", 1000);
  client::ConnectOptions options;
  options.url = server.websocket_url();
  client::Client client(options);
  ASSERT_TRUE(client.connect().ok());
  ASSERT_TRUE(client.open("w").ok());
  ASSERT_TRUE(client.wait_live(10s).ok());
  ASSERT_TRUE(client.edit(client::EditDraft().fill(1, map::Rect::of_size(8000, 5, 400, 40), map::Cell{3})).ok());
  ASSERT_TRUE(client.wait_durable(10s));
  ASSERT_EQ(http(server.port(), "POST", "/v1/worlds/w/versions", R"({"name":"one"})").status, 201u);
  ASSERT_TRUE(client.edit(client::EditDraft().fill(1, map::Rect::of_size(100, 100, 300, 300), map::Cell{4})).ok());
  ASSERT_TRUE(client.edit(client::EditDraft().set(1, {8191, 7}, map::Cell{5})).ok());
  ASSERT_TRUE(client.wait_durable(10s));
  const Ran running = run_program(kServer, {"verify", data.string()});
  EXPECT_EQ(running.exit_code, 2);
  EXPECT_NE(running.output.find("in use by process " + std::to_string(server.pid())), std::string::npos)
      << running.output;
  const Ran look = run_program(kServer, {"inspect", data.string()});
  EXPECT_EQ(look.exit_code, 0);
  EXPECT_NE(look.output.find("in use by process"), std::string::npos) << look.output;
  EXPECT_EQ(server.terminate(), 0);
}

void flip(const std::string& path, std::uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

TEST(Maintenance, InspectTellsWhatThereIs) {
  TemporaryFolder folder;
  fill(folder.path() / "data");
  const Ran look = run_program(kServer, {"inspect", (folder.path() / "data").string(), "--json"});
  ASSERT_EQ(look.exit_code, 0) << look.output;
  const auto report = nlohmann::json::parse(look.output);
  EXPECT_EQ(report["holder"], "");
  ASSERT_EQ(report["worlds"].size(), 1u);
  ASSERT_EQ(report["worlds"][0]["shards"].size(), 2u);
  const auto& shard = report["worlds"][0]["shards"][0];
  EXPECT_EQ(shard["shard"], nlohmann::json({0, 0}));
  EXPECT_EQ(shard["lsn"], 3);
  EXPECT_EQ(shard["versions"], 1);
  EXPECT_EQ(shard["undo_points"], 1);
  EXPECT_EQ(shard["layers"][0]["id"], 1);
  EXPECT_EQ(run_program(kServer, {"inspect", folder.path().string()}).exit_code, 2);
}

TEST(Maintenance, VerifyProvesWhatIsWholeAndNamesEveryDamage) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  const Ran whole = run_program(kServer, {"verify", path});
  ASSERT_EQ(whole.exit_code, 0) << whole.output;
  EXPECT_NE(whole.output.find("all proven"), std::string::npos) << whole.output;

  const auto data = io::DataDirectory::look_at(path);
  ASSERT_TRUE(data.ok());
  const auto worlds = (*data)->list_worlds();
  const std::string shard = (*data)->shard_path(worlds->front(), 0, 0);
  storage::PageNo pages = 0, free = 0;
  {
    const auto file = io::ReadOnlyPageFile::open(shard);
    ASSERT_TRUE(file.ok());
    const auto store = storage::ShardStore::open(**file, {worlds->front(), 0, 0});
    ASSERT_TRUE(store.ok());
    pages = (*store)->pages().total;
    free = (*store)->pages().free;
  }
  // One byte of each page: all are found but those of free pages, and of the older root, which nobody needs.
  storage::PageNo found = 0;
  for (storage::PageNo page = 0; page < pages; ++page) {
    const std::uint64_t at = std::uint64_t{page} * storage::kPageBytes + (page < 2 ? 40 : 3 + page * 37 % 4000);
    flip(shard, at);
    const maintenance::CheckReport report = maintenance::check_directory(**data);
    found += report.findings.empty() ? 0 : 1;
    if (!report.findings.empty()) {
      EXPECT_NE(report.findings[0].find(shard), std::string::npos) << report.findings[0];
    }
    flip(shard, at);
  }
  EXPECT_GE(found, pages - free - 1);
  EXPECT_GT(found, 30u);

  const auto damaged = [&](const std::string& file, std::uint64_t at) {
    flip(file, at);
    const Ran ran = run_program(kServer, {"verify", path});
    flip(file, at);
    EXPECT_EQ(ran.exit_code, 1) << file << ran.output;
    EXPECT_NE(ran.output.find("DAMAGED"), std::string::npos);
  };
  damaged(path + "/worlds/" + std::to_string(worlds->front().value) + "/world.json", 0);
  fs::resize_file(shard, fs::file_size(shard) - 4096);
  const Ran cut = run_program(kServer, {"verify", path, "--json"});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_NE(nlohmann::json::parse(cut.output)["findings"].dump().find("cut off"), std::string::npos) << cut.output;
}

}  // namespace
}  // namespace terrazzo::integration

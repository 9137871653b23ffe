// A real server, and a disk that fails: for each N, the Nth file operation of a scripted life fails (an I/O error, no
// space, half a write). Whatever the server then says or does, after a restart on a good disk every edit it
// acknowledged as durable is there, none is torn, every shard's pages are accounted for, and it goes on.
// TERRAZZO_FAULTS=all tries every N; otherwise a spread of them, another one each day.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "server/io/data_directory.h"
#include "server/io/mmap_page_file.h"
#include "server/storage/shard_store.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

constexpr map::LayerId kLayer = 1;
const std::vector<std::string> kFlags{"--cores", "1", "--segment-mib", "1", "--file-io", "threads"};

// Environment for the next server, taken back at the end.
class Faults {
 public:
  Faults(const std::filesystem::path& data, long at, int kind, const std::filesystem::path& count) {
    set("LD_PRELOAD", TERRAZZO_FAULT_SHIM);
    set("TERRAZZO_FAULT_FOLDER", data.string());
    set("TERRAZZO_FAULT_AT", std::to_string(at));
    set("TERRAZZO_FAULT_KIND", std::to_string(kind));
    set("TERRAZZO_FAULT_COUNT", count.string());
  }
  ~Faults() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
  }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    names_.push_back(name);
  }

 private:
  std::vector<std::string> names_;
};

// Blocks that edits write whole, by number; every third lies over the border of two shards.
constexpr int kBlocks = 9;
map::Rect block(int index) {
  return map::Rect::of_size(index % 3 == 0 ? 8190 : 40 + 100 * index, 10 * index, 4, 4);
}

struct Known {
  std::map<int, std::uint32_t> durable, sent;  // by block
};

std::unique_ptr<Client> enter(std::uint16_t port) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(port);
  auto client = std::make_unique<Client>(options);
  if (!client->connect() || !client->open("w") || !client->wait_live(5s)) return nullptr;
  return client;
}

void paint(Client& client, Known& known, std::uint32_t value, int index) {
  const Result<EditId> edit = client.edit(client::EditDraft().fill(kLayer, block(index), map::Cell{value}));
  if (!edit) return;
  known.sent[index] = value;
  client.wait_until([&] { return client.is_durable(*edit) || client.rejection(*edit).has_value(); }, 100ms);
  if (client.is_durable(*edit)) known.durable[index] = value;
}

// A server's day: a world, edits, a version, going back, a stop that checkpoints; and a second morning.
void live(const std::filesystem::path& data, Known& known) {
  for (const std::uint32_t base : {100u, 200u}) {
    ServerProcess server(data, kFlags, 0, false);
    if (!server.running()) return;  // it said why and stopped
    if (base == 100) {
      http(server.port(), "POST", "/v1/worlds", make_world_json("w", 1000));
    }
    if (const auto client = enter(server.port())) {
      for (int i = 0; i < kBlocks; ++i) paint(*client, known, base + static_cast<std::uint32_t>(i), i);
      if (base == 200) http(server.port(), "POST", "/v1/worlds/w/versions", R"({"name":"noon"})");
      for (int i = 0; i < 3; ++i) paint(*client, known, base + 50 + static_cast<std::uint32_t>(i), i);
    }
    server.terminate();
  }
}

void expect_pages_accounted_for(const std::filesystem::path& data) {
  const auto opened = io::DataDirectory::open(data.string());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const auto worlds = (*opened)->list_worlds();
  ASSERT_TRUE(worlds.ok());
  for (const WorldId world : *worlds) {
    const auto shards = (*opened)->list_shards(world);
    ASSERT_TRUE(shards.ok());
    for (const io::ShardFile& shard : *shards) {
      const auto file = io::MmapPageFile::open((*opened)->shard_path(world, shard.x, shard.y));
      ASSERT_TRUE(file.ok()) << file.error().message;
      const auto store = storage::ShardStore::open(**file, {world, shard.x, shard.y});
      ASSERT_TRUE(store.ok()) << store.error().message;
      const Status verified = (*store)->verify();
      EXPECT_TRUE(verified.ok()) << shard.x << "," << shard.y << ": " << verified.error().message;
    }
  }
}

void expect_nothing_lost(const std::filesystem::path& data, Known& known) {
  {
    ServerProcess server(data, kFlags);
    ASSERT_TRUE(server.running());
    const bool there = http(server.port(), "GET", "/v1/worlds/w").status == 200;
    if (!there) {
      ASSERT_TRUE(known.sent.empty()) << "the world is gone";
      make_world(server.port(), "w", 1000);
    }
    const auto client = enter(server.port());
    ASSERT_NE(client, nullptr);
    std::vector<client::SubscriptionId> views;
    for (const map::Rect& view : {map::Rect::of_size(0, 0, 1024, 256), map::Rect::of_size(8160, 0, 64, 256)})
      views.push_back(*client->subscribe(view));
    ASSERT_TRUE(client->wait_until([&] { return client->is_ready(views[0]) && client->is_ready(views[1]); }, 10s));
    for (int i = 0; i < kBlocks; ++i) {
      std::vector<map::Cell> cells(16);
      ASSERT_TRUE(client->read_rect(kLayer, block(i), cells, client::View::confirmed));
      for (const map::Cell cell : cells) ASSERT_EQ(cell, cells[0]) << "block " << i << " is torn";
      ASSERT_GE(cells[0].bits, known.durable[i]) << "a durable edit of block " << i << " is gone";
      ASSERT_LE(cells[0].bits, known.sent[i]);
    }
    Known after;
    for (int i = 0; i < kBlocks; ++i) paint(*client, after, 900, i);
    EXPECT_EQ(after.durable.size(), static_cast<std::size_t>(kBlocks)) << "it does not go on";
    EXPECT_EQ(server.terminate(), 0);
  }
  expect_pages_accounted_for(data);
}

class NthFault : public testing::TestWithParam<int> {};

TEST_P(NthFault, NothingDurableIsLostWhicheverOperationFails) {
  const int kind = GetParam();
  TemporaryFolder folder;
  long operations = 0;
  {
    Known known;
    const Faults faults(folder.path() / "good", 0, 0, folder.path() / "count");
    live(folder.path() / "good", known);
    std::ifstream(folder.path() / "count") >> operations;
    ASSERT_EQ(known.durable.size(), static_cast<std::size_t>(kBlocks));
  }
  ASSERT_GT(operations, 50);
  // Each life has two servers, each counts for itself: the same number fails in both.
  const char* wanted = std::getenv("TERRAZZO_FAULTS");
  const bool all = wanted != nullptr && std::string(wanted) == "all";
  const long day =
      std::chrono::duration_cast<std::chrono::hours>(std::chrono::system_clock::now().time_since_epoch()).count() / 24;
  const long step = all ? 1 : 13;
  for (long at = 1 + (all ? 0 : day % step); at <= operations + 20; at += step) {
    const std::filesystem::path data = folder.path() / std::to_string(at);
    Known known;
    {
      const Faults faults(data, at, kind, folder.path() / "failed");
      live(data, known);
    }
    std::string failed;
    std::getline(std::ifstream(folder.path() / "failed"), failed);
    SCOPED_TRACE("operation " + failed + " failed, kind " + std::to_string(kind));
    expect_nothing_lost(data, known);
    if (HasFailure()) {
      std::ifstream log(data.string() + ".log");
      FAIL() << std::string(std::istreambuf_iterator<char>(log), {});
    }
    std::filesystem::remove_all(data);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NthFault, testing::Values(EIO, ENOSPC, 0), [](const auto& each) {
  return each.param == EIO ? "InputOutputError" : each.param == ENOSPC ? "NoSpace" : "HalfAWrite";
});

// A sync that failed leaves nobody knowing what is on disk: no more edits, in words, until a restart.
TEST(FaultTest, AfterAFailedSyncOfTheLogEditsAreRefused) {
  TemporaryFolder folder;
  const std::filesystem::path data = folder.path() / "data";
  Known known;
  bool refused = false;
  for (long at = 20; at < 120 && !refused; ++at) {
    std::filesystem::remove_all(data);
    known = {};
    const Faults faults(data, at, EIO, folder.path() / "failed");
    ServerProcess server(data, kFlags, 0, false);
    if (!server.running()) continue;
    http(server.port(), "POST", "/v1/worlds", make_world_json("w", 1000));
    const auto client = enter(server.port());
    if (client == nullptr) continue;
    for (int i = 0; i < 12; ++i) paint(*client, known, 10 + static_cast<std::uint32_t>(i), 1);
    std::string failed;
    std::getline(std::ifstream(folder.path() / "failed"), failed);
    if (failed.find("fdatasync") == std::string::npos) continue;
    const Result<EditId> edit = client->edit(client::EditDraft().fill(kLayer, block(1), map::Cell{99}));
    ASSERT_TRUE(edit.ok());
    ASSERT_TRUE(client->wait_until([&] { return client->rejection(*edit).has_value(); }, 5s)) << failed;
    EXPECT_EQ(client->rejection(*edit)->code, ErrorCode::read_only);
    EXPECT_EQ(http(server.port(), "GET", "/readyz").status, 503u);
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200u);
    refused = true;
  }
  ASSERT_TRUE(refused);
  expect_nothing_lost(data, known);
}

// The disk is full for a while: edits that need space are refused, what is there is served, and when there is space
// again it goes on without a restart.
TEST(FaultTest, AFullDiskIsSurvivedAndLeftBehind) {
  TemporaryFolder folder;
  const std::filesystem::path data = folder.path() / "data", full = folder.path() / "full";
  {
    Faults faults(data, 0, 0, folder.path() / "count");
    faults.set("TERRAZZO_FAULT_WHILE", full.string());
    ServerProcess server(data, kFlags);
    make_world(server.port(), "w", 1000);
    const auto client = enter(server.port());
    ASSERT_NE(client, nullptr);
    Known known;
    // On a busy machine the first log segment may take longer to make than one try waits.
    for (int tries = 0; tries < 100 && known.durable.empty(); ++tries) paint(*client, known, 10, 1);
    ASSERT_EQ(known.durable[1], 10u) << server.log();
    std::ofstream(full) << "x";
    // More than the file has pages for, until one is refused; a new shard's file cannot be made either.
    std::optional<Error> refusal;
    std::vector<map::Cell> cells(64 * 64);
    for (std::int32_t i = 0; i < 2000 && !refusal; ++i) {
      for (std::size_t c = 0; c < cells.size(); ++c) cells[c] = map::Cell{1 + static_cast<std::uint32_t>(c % 7)};
      const auto edit = client->edit(
          client::EditDraft().set(kLayer, map::Rect::of_size(64 * (i % 100), 1024 + 64 * (i / 100), 64, 64), cells));
      ASSERT_TRUE(edit.ok());
      client->wait_until([&] { return client->is_applied(*edit) || client->rejection(*edit).has_value(); }, 5s);
      refusal = client->rejection(*edit);
    }
    ASSERT_TRUE(refusal) << "the disk never was too full";
    EXPECT_TRUE(refusal->code == ErrorCode::overloaded || refusal->code == ErrorCode::read_only) << refusal->message;
    EXPECT_NE(refusal->message.find("space"), std::string::npos) << refusal->message;
    // Reading goes on.
    const auto view = client->subscribe(block(1));
    ASSERT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, 5s));
    EXPECT_EQ(client->read(kLayer, {static_cast<std::int32_t>(block(1).x0), 10}), map::Cell{10});
    std::filesystem::remove(full);
    Known after;
    for (int tries = 0; tries < 100 && after.durable.empty(); ++tries) paint(*client, after, 20, 2);
    EXPECT_EQ(after.durable[2], 20u) << "it does not go on when there is space again";
    EXPECT_EQ(server.terminate(), 0) << "a crash, or a signal";
  }
  expect_pages_accounted_for(data);
}

}  // namespace
}  // namespace terrazzo::integration

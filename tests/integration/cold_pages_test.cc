// Maps larger than the memory given to them: everything is read and edited as if it were all there, cores do not wait
// for the disk, and a page that rotted on the disk is told from a good one before anybody sees it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "http_peer.h"
#include "server/io/mmap_page_file.h"
#include "server/storage/shard_store.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kSide = 40;  // chunks painted in each shard: 1600 pages
const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";

std::uint32_t first_tile(int column, int row) {
  return static_cast<std::uint32_t>(1 + (column * 7 + row * 3) % 50);
}

std::uint64_t metric(std::uint16_t port, const std::string& name) {
  const std::string page = http(port, "GET", "/metrics").body;
  std::uint64_t sum = 0;
  for (std::size_t at = page.find("\n" + name + "{"); at != std::string::npos;
       at = page.find("\n" + name + "{", at + 1))
    sum += std::stoull(page.substr(page.find("} ", at) + 2));
  return sum;
}

map::Rect area(int shard, int chunk_x, int chunk_y, int side) {
  return map::Rect::of_size(shard * 8192 + chunk_x * 32, chunk_y * 32, side * 32, side * 32);
}

class ColdPages : public testing::Test {
 protected:
  ColdPages() {
    ServerProcess server(data_, {"--segment-mib", "1"});
    make_world(server.port(), "w", 1000);
    const auto client = enter(server.port());
    for (int shard = 0; shard < 2; ++shard) {
      for (int row = 0; row < kSide; ++row) {
        client::EditDraft draft;
        for (int column = 0; column < kSide; ++column)
          draft.set(1, {shard * 8192 + column * 32, row * 32}, map::Cell{first_tile(column, row)});
        EXPECT_TRUE(client->edit(draft).ok());
      }
    }
    EXPECT_TRUE(client->wait_durable(20s));
    client->close();
    EXPECT_EQ(server.terminate(), 0);  // with a checkpoint
    // Recovery opens what the log speaks of; after it, nothing does.
    EXPECT_EQ(ServerProcess(data_, {"--segment-mib", "1"}).terminate(), 0);
  }
  std::string shard_path(int x) const {
    return fs::directory_iterator(data_ / "worlds")->path() / (std::to_string(x) + "_0.shard");
  }

  TemporaryFolder folder_;
  const fs::path data_ = folder_.path() / "data";
};

TEST_F(ColdPages, EverythingIsThereUnderABudgetOfOneMebibyte) {
  constexpr std::uint32_t kSeed = 20261121;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  ServerProcess server(data_, {"--memory-mib", "1", "--segment-mib", "1"});
  const auto client = enter(server.port());
  std::map<std::pair<std::int32_t, std::int32_t>, std::uint32_t> painted;
  for (int round = 0; round < 60; ++round) {
    const int shard = static_cast<int>(random() % 2), x = static_cast<int>(random() % (kSide - 8)),
              y = static_cast<int>(random() % (kSide - 8));
    const auto view = client->subscribe(area(shard, x, y, 8));
    ASSERT_TRUE(view.ok());
    ASSERT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, 10s));
    for (int row = y; row < y + 8; ++row) {
      for (int column = x; column < x + 8; ++column) {
        const map::CellPos at{shard * 8192 + column * 32, row * 32};
        const auto found = painted.find({at.x, at.y});
        const std::uint32_t expected = found == painted.end() ? first_tile(column, row) : found->second;
        ASSERT_EQ(client->read(1, at), map::Cell{expected}) << at.x << "," << at.y << " round " << round;
      }
    }
    client->unsubscribe(*view);
    // Somewhere else, where nobody looks.
    for (int i = 0; i < 10; ++i) {
      const map::CellPos at{static_cast<std::int32_t>((random() % 2) * 8192 + random() % kSide * 32),
                            static_cast<std::int32_t>(random() % kSide * 32)};
      const auto tile = static_cast<std::uint32_t>(100 + random() % 800);
      ASSERT_TRUE(client->edit(client::EditDraft().set(1, at, map::Cell{tile})).ok());
      painted[{at.x, at.y}] = tile;
    }
    ASSERT_TRUE(client->wait_durable(10s));
  }
  EXPECT_GE(metric(server.port(), "terrazzo_pages_brought_total"), 2000u);
  EXPECT_GT(metric(server.port(), "terrazzo_pages_released_total"), 1000u);
  EXPECT_EQ(metric(server.port(), "terrazzo_shards_opened_total"), 2u);
  EXPECT_GT(metric(server.port(), "terrazzo_page_waits_total"), 60u);
  EXPECT_GT(metric(server.port(), "terrazzo_pages_prepared_total"), 0u);
  EXPECT_EQ(metric(server.port(), "terrazzo_pages_damaged_total"), 0u);
  client->close();
  EXPECT_EQ(server.terminate(), 0);
  const Ran verified = run_program(kServer, {"verify", data_.string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

// The page that holds the cells of a chunk.
storage::PageNo page_of(const std::string& path, std::uint16_t chunk) {
  const auto file = io::MmapPageFile::open(path);
  EXPECT_TRUE(file.ok());
  const std::string name = fs::path(path).parent_path().filename().string();
  const auto store = storage::ShardStore::open(**file, {WorldId{std::stoull(name)}, 0, 0});
  EXPECT_TRUE(store.ok()) << store.error().message;
  const auto* cells = reinterpret_cast<const std::byte*>((*store)->read(1, chunk).cells);
  EXPECT_NE(cells, nullptr);
  return static_cast<storage::PageNo>(static_cast<std::size_t>(cells - (*file)->base()) / storage::kPageBytes);
}

TEST_F(ColdPages, APageThatRottedIsNotShown) {
  const storage::PageNo page = page_of(shard_path(0), 20 * 256 + 20);
  ServerProcess server(data_);
  {
    std::fstream file(shard_path(0), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(page) * 4096);
    file.put('\x63');  // the chunk's first cell: another tile, which nobody painted
  }
  const auto client = enter(server.port());
  std::string told;
  client->on_event([&](const client::Event& event) {
    if (const auto* refused = std::get_if<client::SubscriptionRefused>(&event)) told = refused->error.message;
  });
  const auto good = client->subscribe(area(0, 0, 0, 10));
  ASSERT_TRUE(client->wait_until([&] { return client->is_ready(*good); }, 10s));
  EXPECT_EQ(client->read(1, {64, 96}), map::Cell{first_tile(2, 3)});
  const auto bad = client->subscribe(area(0, 15, 15, 10));
  ASSERT_TRUE(bad.ok());
  ASSERT_TRUE(client->wait_until([&] { return !told.empty(); }, 10s));
  EXPECT_NE(told.find("page " + std::to_string(page)), std::string::npos) << told;
  EXPECT_NE(told.find("backup"), std::string::npos) << told;
  EXPECT_FALSE(client->is_ready(*bad));
  EXPECT_FALSE(client->read(1, {20 * 32, 20 * 32}).has_value());
  // No edit goes on top of a file that cannot be trusted; the other shard serves on.
  const auto edit = client->edit(client::EditDraft().set(1, {0, 0}, map::Cell{3}));
  const auto elsewhere = client->edit(client::EditDraft().set(1, {8192, 0}, map::Cell{3}));
  ASSERT_TRUE(client->wait_until([&] { return client->rejection(*edit) && client->is_durable(*elsewhere); }, 10s));
  EXPECT_EQ(client->rejection(*edit)->code, ErrorCode::read_only);
  EXPECT_EQ(metric(server.port(), "terrazzo_pages_damaged_total"), 1u);
  EXPECT_NE(server.log().find("page " + std::to_string(page)), std::string::npos);
  client->close();
  EXPECT_EQ(server.terminate(), 0);
  const Ran verified = run_program(kServer, {"verify", data_.string()});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_NE(verified.output.find("page " + std::to_string(page)), std::string::npos) << verified.output;
}

// An edit that would touch the page is refused, too, when it is the first to come by.
TEST_F(ColdPages, AnEditOnAPageThatRottedIsRefused) {
  const storage::PageNo page = page_of(shard_path(0), 20 * 256 + 20);
  ServerProcess server(data_);
  {
    std::fstream file(shard_path(0), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(page) * 4096 + 4000);
    file.put('\x63');
  }
  const auto client = enter(server.port());
  const auto edit = client->edit(client::EditDraft().set(1, {20 * 32 + 1, 20 * 32}, map::Cell{3}));
  ASSERT_TRUE(client->wait_until([&] { return client->rejection(*edit).has_value(); }, 10s));
  EXPECT_EQ(client->rejection(*edit)->code, ErrorCode::read_only);
  EXPECT_NE(client->rejection(*edit)->message.find("page " + std::to_string(page)), std::string::npos);
  EXPECT_EQ(metric(server.port(), "terrazzo_pages_damaged_total"), 1u);
}

}  // namespace
}  // namespace terrazzo::integration

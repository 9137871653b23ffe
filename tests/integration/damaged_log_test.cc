// A write-ahead log with a record that does not check: at its end that is what a crash leaves; before groups that are
// whole it is damage, and nothing that was acknowledged goes without a word.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "http_peer.h"
#include "server/io/data_directory.h"
#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using storage::kPageBytes;

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
const std::vector<std::string> kFlags{"--segment-mib", "1", "--cores", "1"};
constexpr int kEdits = 40;

// A server that was killed before any checkpoint: forty edits of one cell each, one a group, are in its log only.
class DamagedLog : public testing::Test {
 protected:
  DamagedLog() {
    ServerProcess server(path(), kFlags);
    make_world(server.port(), "w", 1000);
    const auto client = enter(server.port());
    for (int x = 0; x < kEdits; ++x) {
      EXPECT_TRUE(client->edit(client::EditDraft().set(1, {x, 0}, map::Cell{5})).ok());
      EXPECT_TRUE(client->wait_durable(10s));
    }
    server.kill();
    segment_ = path() + "/wal/core-00/1-1.wal";
    const auto data = io::DataDirectory::look_at(path());
    const auto bytes = (*data)->read_segment(0, Incarnation{1}, 1);
    EXPECT_TRUE(bytes.ok());
    const auto scan = storage::scan_segment(*bytes, {0, Incarnation{1}, 1}, [](const storage::Record&) {});
    EXPECT_TRUE(scan.ok());
    EXPECT_EQ(scan->end_at, (kEdits + 1) * kPageBytes) << "one group is not one edit";
  }
  std::string path() const { return (folder_.path() / "data").string(); }
  // The record of the edit of this cell.
  static std::uint64_t byte_of(int x) { return (static_cast<std::uint64_t>(x) + 1) * kPageBytes; }
  void damage(int x) const { damage(segment_, x); }
  static void damage(const std::string& segment, int x) {
    std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(byte_of(x) + 60);
    file.seekg(at);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
  }
  // How many cells from the left a server on the folder shows, the rest being empty.
  int shown(const ServerProcess& server, int row = 0) const {
    const auto client = enter(server.port());
    const auto view = client->subscribe(map::Rect::of_size(0, row, kEdits, 1));
    EXPECT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, 10s));
    int cells = 0;
    while (cells < kEdits && client->read(1, {cells, row}) == map::Cell{5}) ++cells;
    for (int x = cells; x < kEdits; ++x) EXPECT_EQ(client->read(1, {x, row}), map::Cell{0}) << x;
    return cells;
  }

  TemporaryFolder folder_;
  std::string segment_;
};

TEST_F(DamagedLog, VerifyNamesFileByteAndWhatLiesBehind) {
  EXPECT_EQ(run_program(kServer, {"verify", path()}).exit_code, 0);
  damage(10);
  const Ran ran = run_program(kServer, {"verify", path()});
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_NE(ran.output.find("wal/core-00/1-1.wal: byte " + std::to_string(byte_of(10))), std::string::npos)
      << ran.output;
  EXPECT_NE(ran.output.find("29 later groups with 29 whole records"), std::string::npos) << ran.output;
}

TEST_F(DamagedLog, TheServerRefusesToStartAndSaysWhatToDo) {
  damage(10);
  for (int tries = 0; tries < 2; ++tries) {
    ServerProcess server(path(), kFlags, 0, false);
    ASSERT_FALSE(server.running()) << "it started without thirty acknowledged edits";
    for (const char* word : {"wal/core-00/1-1.wal, byte 45056", "29 later groups", "backup", "--accept-log-loss"})
      EXPECT_NE(server.log().find(word), std::string::npos) << word << " in " << server.log();
  }
  damage(10);  // once more: it is whole again, and nothing had been changed
  ServerProcess server(path(), kFlags);
  EXPECT_EQ(shown(server), kEdits);
}

TEST_F(DamagedLog, TheLossCanBeAccepted) {
  damage(10);
  std::vector<std::string> flags = kFlags;
  flags.push_back("--accept-log-loss");
  {
    ServerProcess server(path(), flags);
    EXPECT_EQ(shown(server), 10);
    EXPECT_NE(server.log().find("29 later groups"), std::string::npos) << server.log();
    const auto client = enter(server.port());
    EXPECT_TRUE(client->edit(client::EditDraft().set(1, {10, 0}, map::Cell{5})).ok());
    EXPECT_TRUE(client->wait_durable(10s));
    server.kill();
  }
  EXPECT_TRUE(fs::exists(segment_ + ".damaged"));
  EXPECT_FALSE(fs::exists(segment_));
  const Ran verified = run_program(kServer, {"verify", path()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  // The flag was for once.
  ServerProcess server(path(), kFlags);
  EXPECT_EQ(shown(server), 11);
  const Ran dump = run_program(kServer, {"dump-wal", path()});
  EXPECT_EQ(dump.exit_code, 0);
  EXPECT_NE(dump.output.find("set layer 1 [9,0,1,1]"), std::string::npos);
  EXPECT_EQ(dump.output.find("set layer 1 [11,0,1,1]"), std::string::npos) << "history tells of what never was";
}

// Its later edits are in another core's log, which is whole; they rest on what is lost.
TEST_F(DamagedLog, OfAShardThatMovedTakesItsLaterEditsAlong) {
  const auto segment = [&](unsigned core) { return path() + "/wal/core-0" + std::to_string(core) + "/2-1.wal"; };
  const std::vector<std::string> flags{"--segment-mib", "1", "--cores", "2"};
  unsigned first = 2;
  {
    ServerProcess server(path(), flags);
    const auto client = enter(server.port());
    const auto paint = [&](int from, int to) {
      for (int x = from; x < to; ++x) {
        ASSERT_TRUE(client->edit(client::EditDraft().set(1, {x, 1}, map::Cell{5})).ok());
        ASSERT_TRUE(client->wait_durable(10s));
      }
    };
    paint(0, kEdits / 2);
    for (const char* core : {"0", "1"}) {
      const HttpAnswer moved =
          http(server.port(), "POST", "/v1/worlds/w/shards/0,0/move", std::string(R"({"core":)") + core + "}");
      ASSERT_EQ(moved.status, 200u) << moved.body;
      const auto answer = nlohmann::json::parse(moved.body);
      if (answer["from"] == answer["core"]) continue;
      first = answer["from"].get<unsigned>();
      break;
    }
    ASSERT_LT(first, 2u);
    paint(kEdits / 2, kEdits);
    server.kill();
  }
  damage(segment(first), 10);
  {
    ServerProcess server(path(), flags, 0, false);
    ASSERT_FALSE(server.running());
  }
  std::vector<std::string> accepting = flags;
  accepting.push_back("--accept-log-loss");
  {
    ServerProcess server(path(), accepting);
    EXPECT_EQ(shown(server, 1), 10);
    EXPECT_NE(server.log().find("edits before them were lost"), std::string::npos) << server.log();
    const auto client = enter(server.port());
    EXPECT_TRUE(client->edit(client::EditDraft().set(1, {10, 1}, map::Cell{5})).ok());
    EXPECT_TRUE(client->wait_durable(10s));
    server.kill();
  }
  for (const unsigned core : {0u, 1u}) EXPECT_TRUE(fs::exists(segment(core) + ".damaged")) << core;
  ServerProcess server(path(), flags);
  EXPECT_EQ(shown(server, 1), 11);
  EXPECT_EQ(shown(server, 0), kEdits);
}

TEST_F(DamagedLog, TheDumpGoesOnBehindTheDamage) {
  damage(10);
  const Ran ran = run_program(kServer, {"dump-wal", path()});
  EXPECT_EQ(ran.exit_code, 1);
  const std::size_t before = ran.output.find("set layer 1 [9,0,1,1]"), damage = ran.output.find("  DAMAGED"),
                    after = ran.output.find("set layer 1 [11,0,1,1]");
  ASSERT_NE(after, std::string::npos) << ran.output;
  EXPECT_LT(before, damage);
  EXPECT_LT(damage, after);
  EXPECT_NE(ran.output.find("set layer 1 [39,0,1,1]"), std::string::npos);
  EXPECT_NE(ran.output.find("10 records up to byte 45056 of"), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("DAMAGED wal/core-00/1-1.wal: byte 45056"), std::string::npos) << ran.output;

  std::istringstream lines(run_program(kServer, {"dump-wal", path(), "--json"}).output);
  int whole = 0, behind = 0, damages = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record["kind"] == "damage") {
      ++damages;
      EXPECT_EQ(record["byte"], 45056);
      EXPECT_EQ(record["groups_behind"], 29);
    } else {
      ++(record.contains("behind_damage") ? behind : whole);
    }
  }
  EXPECT_EQ(whole, 10);
  EXPECT_EQ(behind, 29);
  EXPECT_EQ(damages, 1);
}

// The last group, as a power cut leaves it: nobody can have been told that it is durable.
TEST_F(DamagedLog, ATornGroupAtTheEndIsNoDamage) {
  damage(kEdits - 1);
  EXPECT_EQ(run_program(kServer, {"verify", path()}).exit_code, 0);
  const Ran dump = run_program(kServer, {"dump-wal", path()});
  EXPECT_EQ(dump.exit_code, 0) << dump.output;
  EXPECT_NE(dump.output.find("the log ends in a torn group at byte " + std::to_string(byte_of(kEdits - 1))),
            std::string::npos)
      << dump.output;
  ServerProcess server(path(), kFlags);
  EXPECT_EQ(shown(server), kEdits - 1);
  EXPECT_FALSE(fs::exists(segment_ + ".damaged"));
}

// A group may be written between the moments at which a dump reads what is before and what is behind it.
TEST(DamagedLogs, WhatIsBeingWrittenIsNoDamage) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string();
  ServerProcess server(data, kFlags);
  make_world(server.port(), "w", 1000);
  const auto client = enter(server.port());
  std::atomic<bool> done = false;
  std::string wrong;
  std::thread dumps([&] {
    for (int i = 0; i < 25 && wrong.empty(); ++i) {
      const Ran ran = run_program(kServer, {"dump-wal", data, "--json", "--from", "1000000"});
      if (ran.exit_code != 0) wrong = ran.output;
    }
    done = true;
  });
  for (std::uint32_t i = 0; !done; ++i) {
    EXPECT_TRUE(client->edit(client::EditDraft().set(1, {static_cast<int>(i % 100), 5}, map::Cell{1 + i % 50})).ok());
    client->wait_durable(10s);
  }
  dumps.join();
  EXPECT_EQ(wrong, "");
}

// Two cores, shards of both, and edits over the borders between them. Whichever log is damaged wherever, the server
// goes on when the loss is accepted, all that is left is sound, and so is the next start.
TEST(DamagedLogs, TheLossOfACoresLogIsNoObstacle) {
  TemporaryFolder folder;
  const fs::path whole = folder.path() / "whole", data = folder.path() / "data";
  const std::vector<std::string> flags{"--segment-mib", "1", "--cores", "2"};
  {
    ServerProcess server(whole, flags);
    make_world(server.port(), "w", 1000);
    const auto client = enter(server.port());
    // So many shards that either core has enough of them, whatever the world's number: a group in the log for each
    // edit.
    for (std::uint32_t i = 0; i < 120; ++i) {
      const int border = 8192 * static_cast<int>(1 + i % 24);
      const auto area =
          i % 2 == 0 ? map::Rect::of_size(border - 2, 10, 4, 4) : map::Rect::of_size(border + 20, 10, 4, 4);
      EXPECT_TRUE(client->edit(client::EditDraft().fill(1, area, map::Cell{1 + i})).ok());
      EXPECT_TRUE(client->wait_durable(10s));
    }
    server.kill();
  }
  int damaged = 0;
  for (const char* log : {"wal/core-00/1-1.wal", "wal/core-01/1-1.wal"}) {
    for (const std::uint64_t page : {0u, 1u, 5u, 9u}) {
      fs::remove_all(data);
      fs::copy(whole, data, fs::copy_options::recursive);
      std::fstream file(data / log, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(page * kPageBytes + 8));
      file.write("damage", 6);
      file.close();
      const std::string what = std::string(log) + " page " + std::to_string(page);
      if (run_program(kServer, {"verify", data.string()}).exit_code != 1) continue;  // the log is shorter than that
      ++damaged;
      std::vector<std::string> accepting = flags;
      accepting.push_back("--accept-log-loss");
      {
        ServerProcess server(data, accepting);
        ASSERT_TRUE(server.running()) << what << server.log();
        const auto client = enter(server.port());
        EXPECT_TRUE(client->edit(client::EditDraft().fill(1, map::Rect::of_size(8190, 50, 4, 4), map::Cell{9})).ok());
        EXPECT_TRUE(client->wait_durable(10s)) << what;
        server.kill();
      }
      const Ran verified = run_program(kServer, {"verify", data.string()});
      EXPECT_EQ(verified.exit_code, 0) << what << verified.output;
      ServerProcess server(data, flags);
      ASSERT_TRUE(server.running()) << what << server.log();
      const auto client = enter(server.port());
      const auto view = client->subscribe(map::Rect::of_size(8190, 50, 4, 4));
      ASSERT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, 10s));
      EXPECT_EQ(client->read(1, {8190, 50}), map::Cell{9}) << what;
      EXPECT_EQ(client->read(1, {8193, 53}), map::Cell{9}) << what;
    }
  }
  EXPECT_GE(damaged, 6);
}

}  // namespace
}  // namespace terrazzo::integration

// A real server, and a disk that fails: for each N, the Nth file operation of each day of a scripted life fails (an I/O
// error, no space, half a transfer). Whatever the server then says or does, after a restart on a good disk everything
// that clients were told is true, nothing is torn, every page is accounted for, and it goes on.
// TERRAZZO_FAULTS=all tries every N; otherwise a spread of them, another one each day.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "scripted_life.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

class NthFault : public testing::TestWithParam<std::tuple<int, int>> {};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What needs neither a restart nor another disk when there is space again.
bool names_or_space(const std::string& failed) {
  for (const char* operation : {"open", "mkdir", "rename", "fallocate"})
    if (failed.find(operation) != std::string::npos) return true;
  return false;
}

TEST_P(NthFault, NothingThatWasToldIsLostWhicheverOperationFails) {
  const auto [kind, day] = GetParam();
  const TemporaryFolder folder(memory_folder());
  const std::filesystem::path morning = folder.path() / "morning", good = folder.path() / "good";
  Told before;
  for (int earlier = 0; earlier < day; ++earlier) live_a_day(earlier, morning, before);
  std::filesystem::create_directory(morning);
  long operations = 0;
  {
    std::filesystem::copy(morning, good, std::filesystem::copy_options::recursive);
    Told told = before;
    {
      const ShimSettings shim(good, 0, kind, folder.path() / "count");
      live_a_day(day, good, told);
    }
    std::ifstream(folder.path() / "count") >> operations;
    expect_nothing_lost(good, told);
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(told.durable.size(), told.sent.size());
    ASSERT_TRUE(told.noon && told.image && told.deleted == (day == 2));
  }
  ASSERT_GT(operations, kind == 0 ? 5 : 20);
  RecordProperty("operations", static_cast<int>(operations));
  const char* wanted = std::getenv("TERRAZZO_FAULTS");
  const bool all = wanted != nullptr && std::string(wanted) == "all";
  const long today =
      std::chrono::duration_cast<std::chrono::hours>(std::chrono::system_clock::now().time_since_epoch()).count() / 24;
  const long step = all ? 1 : 3;
  // Threads make the order vary a little, and what comes after a failure may take more operations.
  for (long at = 1 + (all ? 0 : today % step); at <= operations + 5; at += step) {
    const std::filesystem::path data = folder.path() / std::to_string(at);
    std::filesystem::copy(morning, data, std::filesystem::copy_options::recursive);
    std::filesystem::remove(folder.path() / "failed");
    Told told = before;
    {
      const ShimSettings shim(data, at, kind, folder.path() / "failed");
      live_a_day(day, data, told, Disk::failing);
    }
    const std::string failed = "operation " + text_of(folder.path() / "failed") + " of " + std::to_string(operations);
    SCOPED_TRACE(failed);
    const bool must_go_on = names_or_space(failed) && kind == ENOSPC && told.started;
    EXPECT_TRUE(told.went_on || !must_go_on) << "it does not go on though there is space again";
    if (!HasFailure()) expect_nothing_lost(data, told);
    if (HasFailure()) FAIL() << failed << text_of(data.string() + ".log");
    std::filesystem::remove_all(data);
    std::filesystem::remove(data.string() + ".log");
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, NthFault, testing::Combine(testing::Values(EIO, ENOSPC, 0), testing::Range(0, kDays)),
                         [](const auto& each) {
                           const int kind = std::get<0>(each.param);
                           const std::string name = kind == EIO      ? "InputOutputError"
                                                    : kind == ENOSPC ? "NoSpace"
                                                                     : "HalfATransfer";
                           return name + "OnDay" + std::to_string(std::get<1>(each.param));
                         });

// A sync that failed leaves nobody knowing what is on disk: no more edits, in words, until a restart.
TEST(FaultTest, AfterAFailedSyncOfTheLogEditsAreRefused) {
  TemporaryFolder folder(memory_folder());
  const std::filesystem::path data = folder.path() / "data";
  Told told;
  bool refused = false;
  for (long at = 20; at < 120 && !refused; ++at) {
    std::filesystem::remove_all(data);
    told = {};
    const ShimSettings faults(data, at, EIO, folder.path() / "failed");
    ServerProcess server(data, life_flags(), 0, false);
    if (!server.running()) continue;
    http(server.port(), "POST", "/v1/worlds", make_world_json("w", kLifeTiles));
    const auto client = enter_life(server.port(), Disk::failing);
    if (client == nullptr) continue;
    Painter painter(*client, told, Disk::failing);
    for (std::uint32_t i = 0; i < 12; ++i) painter.paint(1, 2, 10 + i);
    std::string failed;
    std::getline(std::ifstream(folder.path() / "failed"), failed);
    if (failed.find("fdatasync") == std::string::npos) continue;
    const Result<EditId> edit = client->edit(client::EditDraft().fill(kLifeLayer, life_block(1), map::Cell{99}));
    ASSERT_TRUE(edit.ok());
    ASSERT_TRUE(client->wait_until([&] { return client->rejection(*edit).has_value(); }, 60s)) << failed;
    EXPECT_EQ(client->rejection(*edit)->code, ErrorCode::read_only);
    EXPECT_EQ(http(server.port(), "GET", "/readyz").status, 503u);
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200u);
    refused = true;
  }
  ASSERT_TRUE(refused);
  expect_nothing_lost(data, told);
}

// The disk is full for a while: edits that need space are refused, what is there is served, and when there is space
// again it goes on without a restart.
TEST(FaultTest, AFullDiskIsSurvivedAndLeftBehind) {
  TemporaryFolder folder(memory_folder());
  const std::filesystem::path data = folder.path() / "data", full = folder.path() / "full";
  {
    ShimSettings faults(data, 0, 0, folder.path() / "count");
    faults.set("TERRAZZO_FAULT_WHILE", full.string());
    ServerProcess server(data, life_flags());
    make_world(server.port(), "w", kLifeTiles);
    const auto client = enter_life(server.port());
    ASSERT_NE(client, nullptr);
    Told told;
    Painter(*client, told).paint(1, 2, 9);
    ASSERT_EQ(told.durable[1], 10u) << server.log();
    std::ofstream(full) << "x";
    // More than the file has pages for, until one is refused; a new shard's file cannot be made either.
    std::optional<Error> refusal;
    std::vector<map::Cell> cells(64 * 64);
    for (std::int32_t i = 0; i < 2000 && !refusal; ++i) {
      for (std::size_t c = 0; c < cells.size(); ++c) cells[c] = map::Cell{1 + static_cast<std::uint32_t>(c % 7)};
      const auto edit = client->edit(client::EditDraft().set(
          kLifeLayer, map::Rect::of_size(64 * (i % 100), 1024 + 64 * (i / 100), 64, 64), cells));
      ASSERT_TRUE(edit.ok());
      client->wait_until([&] { return client->is_applied(*edit) || client->rejection(*edit).has_value(); }, 60s);
      refusal = client->rejection(*edit);
    }
    ASSERT_TRUE(refusal) << "the disk never was too full";
    EXPECT_EQ(refusal->code, ErrorCode::overloaded) << refusal->message;  // not read_only: decision 21
    EXPECT_NE(refusal->message.find("space"), std::string::npos) << refusal->message;
    // Reading goes on.
    const auto view = client->subscribe(life_block(1));
    ASSERT_TRUE(client->wait_until([&] { return client->is_ready(*view); }, 60s));
    EXPECT_EQ(client->read(kLifeLayer, {static_cast<std::int32_t>(life_block(1).x0), 10}), map::Cell{10});
    std::filesystem::remove(full);
    Told after;
    EXPECT_TRUE(Painter(*client, after).go_on(1000)) << "it does not go on when there is space again";
    EXPECT_EQ(server.terminate(), 0) << "a crash, or a signal";
  }
  expect_pages_accounted_for(data);
}

// Edits over two shards, of which one cannot be made because the disk is full: they are decided, and whole as soon as
// there is space, in their order, whether the server lives to see it or not.
class HalfAnEdit : public testing::TestWithParam<bool> {};

TEST_P(HalfAnEdit, BecomesWholeWhenThereIsSpaceAgain) {
  const bool killed = GetParam();
  const TemporaryFolder folder(memory_folder());
  const std::filesystem::path data = folder.path() / "data", full = folder.path() / "full";
  Told told;
  {
    ShimSettings faults(data, 0, 0, folder.path() / "count");
    faults.set("TERRAZZO_FAULT_WHILE", full.string());
    ServerProcess server(data, life_flags());
    make_world(server.port(), "w", kLifeTiles);
    told.world = true;
    const auto client = enter_life(server.port());
    ASSERT_NE(client, nullptr);
    Painter(*client, told).paint(1, 2, 100);
    ASSERT_EQ(told.durable.size(), 1u);
    std::ofstream(full) << "x";
    Painter painter(*client, told, Disk::failing);
    painter.paint(0, 1, 200);
    painter.paint(3, 4, 200);
    painter.paint(0, 1, 300);
    ASSERT_EQ(told.durable.size(), 1u) << "a shard was made on a full disk";
    if (!killed) {
      std::filesystem::remove(full);
      painter.paint(6, 7, 200);  // which must not overtake the others
      ASSERT_TRUE(client->wait_durable(60s)) << server.log();
      told.durable = told.sent;
    }
    server.kill();
  }
  expect_nothing_lost(data, told);
}

INSTANTIATE_TEST_SUITE_P(Ends, HalfAnEdit, testing::Bool(),
                         [](const auto& each) { return each.param ? "Killed" : "GoingOn"; });

}  // namespace
}  // namespace terrazzo::integration

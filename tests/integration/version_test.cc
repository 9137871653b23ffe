// Named versions of a whole world on a real server: saved while clients paint, found again after kill -9, compared,
// gone back to, deleted.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

constexpr map::LayerId kLayer = kPaintedLayer;
const std::string kVersions = "/v1/worlds/w/versions";

std::uint64_t save(std::uint16_t port, const std::string& name) {
  const HttpAnswer made = http(port, "POST", kVersions, R"({"name":")" + name + R"("})");
  EXPECT_EQ(made.status, 201u) << made.body;
  return nlohmann::json::parse(made.body, nullptr, false).value("id", std::uint64_t{0});
}

TEST(Versions, AreSavedComparedGoneBackToAndDeleted) {
  TemporaryFolder folder;
  auto server = std::make_unique<ServerProcess>(folder.path() / "data");
  const std::uint16_t port = server->port();
  make_world(port, "w");
  const map::Rect border = map::Rect::of_size(8190, 10, 4, 2), far = map::Rect::of_size(100'000, -5, 3, 3);
  paint(port, "w", border, 5);
  EXPECT_EQ(save(port, "first"), 1u);
  EXPECT_EQ(http(port, "POST", kVersions, R"({"name":"first"})").status, 409u);
  EXPECT_EQ(http(port, "POST", kVersions, R"({"name":7})").status, 400u);
  paint(port, "w", border, 6);
  paint(port, "w", far, 6);
  EXPECT_EQ(save(port, "second"), 2u);

  const auto diff = nlohmann::json::parse(http(port, "GET", kVersions + "/first/diff/now").body);
  EXPECT_EQ(diff["chunks"], 3) << diff.dump();
  ASSERT_EQ(diff["shards"].size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(http(port, "GET", kVersions + "/second/diff/now").body)["chunks"], 0);
  EXPECT_EQ(http(port, "GET", kVersions + "/third/diff/now").status, 404u);

  // Someone who watches sees the world go back.
  const auto watcher = enter(port);
  const client::SubscriptionId view = *watcher->subscribe(border);
  ASSERT_TRUE(watcher->wait_until([&] { return watcher->is_ready(view); }, 10s));
  const HttpAnswer back = http(port, "POST", kVersions + "/first/restore");
  EXPECT_EQ(back.status, 200u) << back.body;
  EXPECT_TRUE(watcher->wait_until(
      [&] {
        return watcher->read(kLayer, {8193, 11}, client::View::confirmed) == map::Cell{5};
      },
      10s));
  EXPECT_EQ(look(port, "w", border), std::vector<std::uint32_t>(8, 5));
  EXPECT_EQ(look(port, "w", far), std::vector<std::uint32_t>(9, 0));

  server->kill();
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{}, port);
  EXPECT_EQ(look(port, "w", border), std::vector<std::uint32_t>(8, 5));
  EXPECT_EQ(http(port, "POST", kVersions + "/2/restore").status, 200u);
  EXPECT_EQ(look(port, "w", border), std::vector<std::uint32_t>(8, 6));
  EXPECT_EQ(look(port, "w", far), std::vector<std::uint32_t>(9, 6));

  EXPECT_EQ(http(port, "DELETE", kVersions + "/first").status, 200u);
  EXPECT_EQ(http(port, "DELETE", kVersions + "/first").status, 404u);
  EXPECT_EQ(http(port, "POST", kVersions + "/first/restore").status, 404u);
  EXPECT_EQ(nlohmann::json::parse(http(port, "GET", kVersions).body)["versions"].size(), 1u);
  server->kill();
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{}, port);
  const auto list = nlohmann::json::parse(http(port, "GET", kVersions).body)["versions"];
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["name"], "second");
  EXPECT_EQ(save(port, "third"), 3u);
  EXPECT_EQ(look(port, "w", border), std::vector<std::uint32_t>(8, 6));
}

// Three writers: edits over two shards, and pairs of edits in two shards of which the second is sent when the first is
// known to be applied. A version that shows half an edit, or an effect without its cause, is no consistent cut.
enum class Load : std::uint8_t {
  plain,
  kill,   // before the versions are looked at
  cold,   // every edit over two shards waits for a page from the disk in one of them
  moves,  // and the shards go from core to core
};
class CutUnderLoad : public testing::TestWithParam<Load> {
 protected:
  static constexpr int kColdSide = 60;  // chunks
  static map::CellPos cold_cell(std::uint32_t number) {
    const auto chunk = static_cast<std::int32_t>(number * 7919 % (kColdSide * kColdSide));
    return {8192 + chunk % kColdSide * 32, 1024 + chunk / kColdSide * 32};
  }
  static void make_cold(const TemporaryFolder& folder) {
    ServerProcess server(folder.path() / "data");
    make_world(server.port(), "w", 1u << 20);
    const auto client = enter(server.port());
    for (std::uint32_t i = 0; i < kColdSide * kColdSide; i += kColdSide) {
      client::EditDraft draft;
      for (std::uint32_t j = i; j < i + kColdSide; ++j) draft.set(kLayer, cold_cell(j), map::Cell{1});
      ASSERT_TRUE(client->edit(draft).ok());
    }
    ASSERT_TRUE(client->wait_durable(10s));
    ASSERT_EQ(server.terminate(), 0);
  }
};

// Moves the shards of that test from core to core as long as it lives.
class ShardMoves {
 public:
  explicit ShardMoves(std::uint16_t port) : thread_([this, port] { run(port); }) {}
  ~ShardMoves() {
    stop_ = true;
    thread_.join();
  }
  void wait_for_more_than(int moves) const {
    for (int seen = moves_.load(); seen <= moves; seen = moves_.load()) moves_.wait(seen);
  }

 private:
  void run(std::uint16_t port) {
    constexpr const char* kShards[] = {"0,0", "1,0", "4,0", "-5,0"};
    for (int i = 0; !stop_.load(); ++i) {
      const std::string target = std::string("/v1/worlds/w/shards/") + kShards[i % 4] + "/move";
      const HttpAnswer moved = http(port, "POST", target, R"({"core":)" + std::to_string(i / 4 % 2) + "}");
      // A checkpoint on a slow disk may keep a shard where it is.
      EXPECT_TRUE(moved.status == 200 || moved.status == 503) << moved.body;
      ++moves_;
      moves_.notify_one();
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<int> moves_{0};
  std::thread thread_;
};

TEST_P(CutUnderLoad, IsConsistent) {
  const bool cold = GetParam() == Load::cold;
  TemporaryFolder folder;
  if (cold) make_cold(folder);
  auto server = std::make_unique<ServerProcess>(folder.path() / "data",
                                                std::vector<std::string>{"--cores", "2", "--memory-mib", "1"});
  const std::uint16_t port = server->port();
  if (!cold) make_world(port, "w", 1u << 20);
  const map::Rect both = map::Rect::of_size(8190, 3, 4, 4);
  const map::CellPos cause{40'000, 7}, effect{-40'000, 7};

  constexpr int kVersionCount = 12;
  std::atomic<int> saved{0};
  std::optional<ShardMoves> mover;
  if (GetParam() == Load::moves) mover.emplace(port);
  std::vector<std::uint64_t> ids;
  std::thread saver([&] {
    for (int i = 0; i < kVersionCount; ++i) {
      if (mover) mover->wait_for_more_than(i);
      ids.push_back(save(port, "v" + std::to_string(i)));
      saved.fetch_add(1);
    }
  });
  client::Reactor reactor;
  const auto wide = enter(port, "w", &reactor), first = enter(port, "w", &reactor), second = enter(port, "w", &reactor);
  std::uint32_t value = 1, pair = 1;
  std::optional<EditId> cause_edit;
  while (saved.load() < kVersionCount && !HasFatalFailure()) {
    if (wide->edits_waiting() < 16) {
      client::EditDraft draft;
      draft.fill(kLayer, both, map::Cell{value});
      if (cold) draft.set(kLayer, cold_cell(value), map::Cell{value});
      ASSERT_TRUE(wide->edit(draft).ok());
      ++value;
    }
    if (!cause_edit) {
      const auto sent = first->edit(client::EditDraft().set(kLayer, cause, map::Cell{pair}));
      ASSERT_TRUE(sent.ok());
      cause_edit = *sent;
    } else if (first->is_applied(*cause_edit)) {
      ASSERT_TRUE(second->edit(client::EditDraft().set(kLayer, effect, map::Cell{pair++})).ok());
      cause_edit.reset();
    }
    reactor.run_once(1ms);
  }
  saver.join();
  ASSERT_GT(value, 20u);
  if (GetParam() == Load::kill) {
    server->kill();
    server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--cores", "1"}, port);
  }
  wide->close();
  first->close();
  second->close();
  std::uint32_t last = 0;
  for (const std::uint64_t id : ids) {
    ASSERT_EQ(http(port, "POST", kVersions + "/" + std::to_string(id) + "/restore").status, 200u);
    const std::vector<std::uint32_t> cells = look(port, "w", both);
    for (const std::uint32_t cell : cells) ASSERT_EQ(cell, cells[0]) << "version " << id << " shows half an edit";
    EXPECT_GE(cells[0], last) << "version " << id;
    last = cells[0];
    const std::uint32_t caused = look(port, "w", map::Rect::of_size(effect.x, effect.y, 1, 1))[0],
                        causing = look(port, "w", map::Rect::of_size(cause.x, cause.y, 1, 1))[0];
    EXPECT_LE(caused, causing) << "version " << id << " shows an effect without its cause";
  }
  EXPECT_GT(last, 1u);
}

INSTANTIATE_TEST_SUITE_P(Loads, CutUnderLoad, testing::Values(Load::plain, Load::kill, Load::cold, Load::moves));

}  // namespace
}  // namespace terrazzo::integration

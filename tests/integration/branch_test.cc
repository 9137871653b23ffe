// Branches on a real server: people paint on a world and on its branch at once, each sees its own; kill -9 loses
// nothing durable of either; a branch is a consistent cut; it has versions of its own; dropped, it gives its pages
// back.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;
using nlohmann::json;

constexpr map::LayerId kLayer = kPaintedLayer;
const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
const std::string kBranches = "/v1/worlds/w/branches";
const map::Rect kBorder = map::Rect::of_size(8190, 10, 4, 2);  // in two shards
const map::Rect kCorner = map::Rect::of_size(0, 0, 2, 4), kPaintedOn = map::Rect::of_size(20, 20, 4, 2);

std::vector<std::uint32_t> all(std::uint32_t tile, std::size_t count = 8) {
  return std::vector<std::uint32_t>(count, tile);
}

TEST(Branches, GoTheirOwnWayAndSurviveAKill) {
  TemporaryFolder folder;
  const std::vector<std::string> flags{"--cores", "2"};
  auto server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
  const std::uint16_t port = server->port();
  make_world(port, "w");
  paint(port, "w", kBorder, 5);
  const HttpAnswer made = http(port, "POST", kBranches, R"({"name":"night"})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(http(port, "POST", kBranches, R"({"name":"night"})").status, 409u);
  EXPECT_EQ(http(port, "POST", kBranches, R"({"name":"a@b"})").status, 400u);
  EXPECT_EQ(http(port, "POST", kBranches, R"({})").status, 400u);
  EXPECT_EQ(http(port, "POST", kBranches, R"({"name":"x","version":"none"})").status, 404u);
  EXPECT_EQ(http(port, "POST", "/v1/worlds", make_world_json("w@night")).status, 400u) << "that would be a branch";

  // Both at once, in both shards.
  const auto main = enter(port, "w"), night = enter(port, "w@night");
  for (std::uint32_t i = 0; i < 40; ++i) {
    const auto at = map::CellPos{8170 + static_cast<std::int32_t>(i), 20};
    ASSERT_TRUE(main->edit(client::EditDraft().set(kLayer, at, map::Cell{1 + i % 9})).ok());
    ASSERT_TRUE(night->edit(client::EditDraft().set(kLayer, at, map::Cell{11 + i % 9})).ok());
  }
  ASSERT_TRUE(night->edit(client::EditDraft().fill(kLayer, kBorder, map::Cell{7})).ok());
  ASSERT_TRUE(main->wait_durable(30s));
  ASSERT_TRUE(night->wait_durable(30s));
  const auto check = [&](std::uint16_t at) {
    EXPECT_EQ(look(at, "w", kBorder), all(5));
    EXPECT_EQ(look(at, "w@night", kBorder), all(7));
    const map::Rect row = map::Rect::of_size(8170, 20, 40, 1);
    const auto of_main = look(at, "w", row), of_night = look(at, "w@night", row);
    for (std::uint32_t i = 0; i < 40; ++i) {
      EXPECT_EQ(of_main[i], 1 + i % 9);
      EXPECT_EQ(of_night[i], 11 + i % 9);
    }
    const json list = json::parse(http(at, "GET", kBranches).body);
    ASSERT_EQ(list["branches"].size(), 1u) << list.dump();
    EXPECT_EQ(list["branches"][0]["name"], "night");
    EXPECT_EQ(list["branches"][0]["from"], "w");
    EXPECT_EQ(json::parse(http(at, "GET", "/v1/worlds").body)["worlds"].size(), 1u);
    EXPECT_EQ(json::parse(http(at, "GET", "/v1/worlds/w@night").body)["id"], list["branches"][0]["world"]);
  };
  check(port);
  server->kill();
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--cores", "3"}, port);
  check(port);
  ASSERT_EQ(server->terminate(), 0);
  const Ran verified = run_program(kServer, {"verify", (folder.path() / "data").string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  server = std::make_unique<ServerProcess>(folder.path() / "data", flags, port);
  check(port);
}

TEST(Branches, HaveVersionsBranchesAndDifferencesOfTheirOwn) {
  TemporaryFolder folder;
  auto server = std::make_unique<ServerProcess>(folder.path() / "data");
  const std::uint16_t port = server->port();
  make_world(port, "w");
  paint(port, "w", kBorder, 5);
  ASSERT_EQ(http(port, "POST", "/v1/worlds/w/versions", R"({"name":"first"})").status, 201u);
  paint(port, "w", kBorder, 6);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"old","version":"first"})").status, 201u);
  EXPECT_EQ(look(port, "w@old", kBorder), all(5));
  EXPECT_EQ(http(port, "DELETE", "/v1/worlds/w/versions/first").status, 409u) << "a branch began there";
  EXPECT_EQ(json::parse(http(port, "GET", kBranches + "/old/diff/origin").body)["chunks"], 0);
  EXPECT_EQ(json::parse(http(port, "GET", kBranches + "/old/diff/main").body)["chunks"], 2);
  EXPECT_EQ(http(port, "GET", kBranches + "/new/diff/main").status, 404u);

  paint(port, "w@old", map::Rect::of_size(100, 100, 3, 3), 9);
  const json diff = json::parse(http(port, "GET", kBranches + "/old/diff/origin").body);
  EXPECT_EQ(diff["chunks"], 1) << diff.dump();
  EXPECT_EQ(json::parse(http(port, "GET", kBranches + "/old/diff/main").body)["chunks"], 3);

  // Versions of the branch; the main line has the same numbers.
  const std::string of_branch = "/v1/worlds/w@old/versions";
  EXPECT_EQ(json::parse(http(port, "GET", of_branch).body)["versions"].size(), 0u);
  ASSERT_EQ(http(port, "POST", of_branch, R"({"name":"first"})").status, 201u);
  paint(port, "w@old", kBorder, 8);
  // A branch of the branch.
  ASSERT_EQ(http(port, "POST", "/v1/worlds/w@old/branches", R"({"name":"older","version":"first"})").status, 201u);
  paint(port, "w@older", map::Rect::of_size(0, 0, 1, 1), 3);

  server->kill();
  server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{}, port);
  EXPECT_EQ(look(port, "w@older", kBorder), all(5));
  EXPECT_EQ(look(port, "w@older", map::Rect::of_size(0, 0, 1, 1)), all(3, 1));
  EXPECT_EQ(look(port, "w@older", map::Rect::of_size(100, 100, 3, 3)), all(9, 9));
  EXPECT_EQ(look(port, "w@old", kBorder), all(8));
  EXPECT_EQ(http(port, "POST", of_branch + "/first/restore").status, 200u);
  EXPECT_EQ(look(port, "w@old", kBorder), all(5));
  EXPECT_EQ(look(port, "w", kBorder), all(6));
  EXPECT_EQ(http(port, "DELETE", kBranches + "/old").status, 409u) << "another one began there";
  EXPECT_EQ(http(port, "DELETE", kBranches + "/older").status, 200u);
  EXPECT_EQ(http(port, "DELETE", kBranches + "/older").status, 404u);
  EXPECT_EQ(http(port, "DELETE", kBranches + "/old").status, 200u);
  EXPECT_EQ(http(port, "DELETE", "/v1/worlds/w/versions/first").status, 200u);
  EXPECT_EQ(json::parse(http(port, "GET", kBranches).body)["branches"].size(), 0u);
  EXPECT_EQ(http(port, "GET", "/v1/worlds/w@old").status, 404u);
}

TEST(Branches, FromTheCommandLine) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data");
  make_world(server.port(), "w");
  paint(server.port(), "w", kBorder, 5);
  const auto terrazzo = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--server", server.http_url()});
    return run_program(TERRAZZO_BIN_DIR "/terrazzo", words);
  };
  const auto says = [&](const std::vector<std::string>& words, const std::string& what) {
    const Ran ran = terrazzo(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    EXPECT_NE(ran.output.find(what), std::string::npos) << ran.output;
  };
  says({"branches", "w"}, "no branches yet");
  says({"branch", "w", "night"}, "w@night");
  says({"save", "w@night", "dusk"}, "version 1");
  says({"paint", "w@night", "--rect", "100,100,2,2", "--tile", "7"}, "");
  says({"branch", "w@night", "later", "--at", "dusk"}, "w@later");
  says({"branches", "w"}, "night");
  says({"branches", "w"}, "dusk");
  says({"diff-branch", "w", "night"}, "1 chunks");
  says({"diff-branch", "w", "later", "--with", "origin"}, "0 chunks");
  EXPECT_EQ(terrazzo({"drop-branch", "w", "night"}).exit_code, 1);
  says({"drop-branch", "w", "later"}, "dropped");
  says({"drop-branch", "w", "night"}, "dropped");
  EXPECT_EQ(terrazzo({"watch", "w@night", "--once"}).exit_code, 1);
}

// The list of branches is lost: whose edits these are nobody knows, and none is thrown away.
TEST(Branches, WithoutTheirListTheServerDoesNotStart) {
  TemporaryFolder folder;
  const auto data = folder.path() / "data";
  auto server = std::make_unique<ServerProcess>(data);
  make_world(server->port(), "w");
  ASSERT_EQ(http(server->port(), "POST", kBranches, R"({"name":"b"})").status, 201u);
  paint(server->port(), "w@b", kBorder, 5);
  server->kill();
  std::filesystem::path list;
  for (const auto& world : std::filesystem::directory_iterator(data / "worlds")) list = world.path() / "branches.json";
  std::filesystem::rename(list, folder.path() / "aside");
  server = std::make_unique<ServerProcess>(data, std::vector<std::string>{}, std::uint16_t{0}, false);
  EXPECT_FALSE(server->running());
  EXPECT_NE(server->log().find("branches.json"), std::string::npos) << server->log();
  std::filesystem::rename(folder.path() / "aside", list);
  server = std::make_unique<ServerProcess>(data);
  EXPECT_EQ(look(server->port(), "w@b", kBorder), all(5));
}

// A server whose only shard is looked at between runs.
class DroppedBranch : public testing::Test {
 protected:
  DroppedBranch()
      : data_((folder_.path() / "data").string()), server_(new ServerProcess(data_)), port_(server_->port()) {
    make_world(port_, "w", 1u << 20);
  }
  // A page in each of a thousand chunks.
  void paint_all(const std::string& world, std::uint32_t tile) {
    const auto client = enter(port_, world);
    for (std::int32_t y = 0; y < 20; ++y) {
      client::EditDraft draft;
      for (std::int32_t x = 0; x < 50; ++x) draft.set(kLayer, {x * 32, y * 32}, map::Cell{tile});
      ASSERT_TRUE(client->edit(draft).ok());
    }
    ASSERT_TRUE(client->wait_durable(30s));
  }
  void start() { server_ = std::make_unique<ServerProcess>(data_, std::vector<std::string>{}, port_); }
  // Recovery ends with a checkpoint of everything that was in the log.
  void kill_and_start() {
    server_->kill();
    start();
  }
  struct Pages {
    std::uint64_t used = 0, branches = 0;
  };
  Pages as_of_checkpoint() {
    const Ran look = run_program(kServer, {"inspect", data_, "--json"});
    EXPECT_EQ(look.exit_code, 0) << look.output;
    const json report = json::parse(look.output, nullptr, false);
    EXPECT_EQ(report["worlds"][0]["shards"].size(), 1u) << look.output;
    const json& shard = report["worlds"][0]["shards"][0];
    return {shard["pages_used"].get<std::uint64_t>(), shard["branches"].get<std::uint64_t>()};
  }
  std::vector<std::uint32_t> painted(const std::string& world) {
    return look(port_, world, map::Rect::of_size(32, 32, 1, 1));
  }

  static constexpr std::uint64_t kChains = 40;  // pages that roots may take besides
  TemporaryFolder folder_;
  const std::string data_;
  std::unique_ptr<ServerProcess> server_;
  const std::uint16_t port_;
};

TEST_F(DroppedBranch, SendsItsPeopleAwayAndGivesItsPagesBack) {
  paint_all("w", 1);
  kill_and_start();
  const Pages before = as_of_checkpoint();
  ASSERT_EQ(http(port_, "POST", kBranches, R"({"name":"b"})").status, 201u);
  paint_all("w@b", 2);
  kill_and_start();
  const Pages with = as_of_checkpoint();
  EXPECT_GE(with.used, before.used + 1000);
  EXPECT_EQ(with.branches, 1u);

  const auto there = enter(port_, "w@b");
  ASSERT_EQ(http(port_, "DELETE", kBranches + "/b").status, 200u);
  ASSERT_TRUE(
      there->wait_until([&] { return there->last_error() && there->last_error()->code == ErrorCode::not_found; }, 30s));
  kill_and_start();  // with whatever was given back so far
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/w@b").status, 404u);
  EXPECT_EQ(painted("w"), all(1, 1));
  // Goes on in the background while the file is open; each run may do a part of it.
  for (std::uint32_t runs = 0;; ++runs) {
    EXPECT_EQ(painted("w"), all(1, 1));
    paint(port_, "w", map::Rect::of_size(0, 0, 1, 1), runs + 2);
    ASSERT_EQ(server_->terminate(), 0);
    const Pages after = as_of_checkpoint();
    if (after.branches == 0 && after.used <= before.used + kChains) break;
    ASSERT_LT(runs, 100u) << after.used << " pages are used, " << before.used << " before";
    start();
  }
  const Ran verified = run_program(kServer, {"verify", data_});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  // The name is free again, and the new one has nothing of the old.
  start();
  ASSERT_EQ(http(port_, "POST", kBranches, R"({"name":"b"})").status, 201u);
  EXPECT_EQ(painted("w@b"), all(1, 1));
}

// Writers on the main line and on a branch, over shards; branches are made of both meanwhile. Each shows whole edits
// only, none later than the next one, and both lines go on.
enum class Load : std::uint8_t { plain, kill, moves };
class BranchesUnderLoad : public testing::TestWithParam<Load> {};

TEST_P(BranchesUnderLoad, AreConsistentCuts) {
  TemporaryFolder folder;
  const std::vector<std::string> flags{"--cores", "2", "--memory-mib", "1"};
  auto server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
  const std::uint16_t port = server->port();
  make_world(port, "w", 1u << 20);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"b"})").status, 201u);

  constexpr int kCuts = 8;
  std::atomic<int> cut{0};
  std::thread cutter([&] {
    for (int i = 0; i < kCuts; ++i) {
      const std::string number = std::to_string(i);
      EXPECT_EQ(http(port, "POST", kBranches, R"({"name":"of-main-)" + number + R"("})").status, 201u);
      EXPECT_EQ(http(port, "POST", "/v1/worlds/w@b/branches", R"({"name":"of-b-)" + number + R"("})").status, 201u);
      if (GetParam() == Load::moves) {
        for (const char* shard : {"0,0", "1,0"}) {
          const HttpAnswer moved = http(port, "POST", std::string("/v1/worlds/w/shards/") + shard + "/move",
                                        R"({"core":)" + std::to_string(i % 2) + "}");
          EXPECT_TRUE(moved.status == 200 || moved.status == 503) << moved.body;
        }
      }
      cut.fetch_add(1);
    }
  });
  client::Reactor reactor;
  const auto main = enter(port, "w", &reactor), branch = enter(port, "w@b", &reactor);
  std::uint32_t value = 1;
  while (cut.load() < kCuts && !HasFatalFailure()) {
    if (main->edits_waiting() < 16 && branch->edits_waiting() < 16) {
      ASSERT_TRUE(main->edit(client::EditDraft().fill(kLayer, kBorder, map::Cell{value})).ok());
      ASSERT_TRUE(branch->edit(client::EditDraft().fill(kLayer, kBorder, map::Cell{500'000 + value})).ok());
      ++value;
    }
    reactor.run_once(1ms);
  }
  cutter.join();
  if (GetParam() == Load::kill) {
    server->kill();
    server = std::make_unique<ServerProcess>(folder.path() / "data", std::vector<std::string>{"--cores", "1"}, port);
  }
  ASSERT_TRUE(main->wait_durable(30s));
  ASSERT_TRUE(branch->wait_durable(30s));
  EXPECT_EQ(look(port, "w", kBorder), all(value - 1));
  EXPECT_EQ(look(port, "w@b", kBorder), all(500'000 + value - 1));
  std::uint32_t last_main = 0, last_branch = 0;
  for (int i = 0; i < kCuts; ++i) {
    const auto of_main = look(port, "w@of-main-" + std::to_string(i), kBorder),
               of_branch = look(port, "w@of-b-" + std::to_string(i), kBorder);
    EXPECT_EQ(of_main, all(of_main[0])) << "branch " << i << " shows half an edit";
    EXPECT_EQ(of_branch, all(of_branch[0])) << "branch " << i << " shows half an edit";
    EXPECT_GE(of_main[0], last_main);
    EXPECT_LT(of_main[0], 500'000u);
    EXPECT_TRUE(of_branch[0] == 0 || of_branch[0] > 500'000u) << of_branch[0];
    EXPECT_GE(of_branch[0], last_branch);
    last_main = of_main[0];
    last_branch = of_branch[0];
  }
  main->close();
  branch->close();
  ASSERT_EQ(server->terminate(), 0);
  const Ran verified = run_program(kServer, {"verify", (folder.path() / "data").string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

// Somebody who paints one rectangle again and again until told to stop.
class Painting {
 public:
  Painting(std::uint16_t port, const std::string& world, const map::Rect& rect)
      : thread_([this, port, world, rect] {
          client::Reactor reactor;
          const auto on = enter(port, world, &reactor);
          for (std::uint32_t i = 0; !done_.load(); ++i) {
            static_cast<void>(on->edit(client::EditDraft().fill(kLayer, rect, map::Cell{100 + i})));
            reactor.run_once(1ms);
          }
          EXPECT_TRUE(on->wait_durable(30s));
        }) {}
  ~Painting() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// The whole family: a branch, a branch of it, versions of each; painted on while the backup is made.
void back_up_a_family(const std::string& data) {
  const std::string cli = TERRAZZO_BIN_DIR "/terrazzo";
  ServerProcess server(data, {"--cores", "2"});
  const std::uint16_t port = server.port();
  make_world(port, "w");
  paint(port, "w", kBorder, 1);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"b"})").status, 201u);
  paint(port, "w@b", kBorder, 2);
  ASSERT_EQ(http(port, "POST", "/v1/worlds/w@b/versions", R"({"name":"of-b"})").status, 201u);
  ASSERT_EQ(http(port, "POST", "/v1/worlds/w@b/branches", R"({"name":"c","version":"of-b"})").status, 201u);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"gone"})").status, 201u);
  paint(port, "w@gone", kBorder, 9);
  const Ran first = run_program(cli, {"backup", "monday", "--server", server.http_url()});
  ASSERT_EQ(first.exit_code, 0) << first.output;

  paint(port, "w@c", kBorder, 3);
  paint(port, "w@b", kCorner, 4);
  ASSERT_EQ(http(port, "DELETE", kBranches + "/gone").status, 200u);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"unseen"})").status, 201u);
  {
    const Painting painting(port, "w@b", kPaintedOn);
    const Ran second = run_program(cli, {"backup", "tuesday", "--since", "monday", "--server", server.http_url()});
    ASSERT_EQ(second.exit_code, 0) << second.output;
  }
  ASSERT_EQ(server.terminate(), 0);
}

TEST(Branches, AreInTheBackupOfARunningServerAndItsIncrements) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string(), restored = (folder.path() / "restored").string();
  ASSERT_NO_FATAL_FAILURE(back_up_a_family(data));
  const Ran proven = run_program(kServer, {"verify", data + "/backups/tuesday"});
  EXPECT_EQ(proven.exit_code, 0) << proven.output;
  const Ran made = run_program(kServer, {"restore", data + "/backups/tuesday", restored});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const Ran whole = run_program(kServer, {"verify", restored});
  EXPECT_EQ(whole.exit_code, 0) << whole.output;
  auto server = std::make_unique<ServerProcess>(restored);
  const std::uint16_t port = server->port();
  const auto check = [&] {
    EXPECT_EQ(look(port, "w", kBorder), all(1));
    EXPECT_EQ(look(port, "w@b", kBorder), all(2));
    EXPECT_EQ(look(port, "w@b", kCorner), all(4));
    EXPECT_EQ(look(port, "w@c", kBorder), all(3));
    EXPECT_EQ(look(port, "w@c", kCorner), all(0));
    EXPECT_EQ(look(port, "w@unseen", kBorder), all(1));
    const auto cut = look(port, "w@b", kPaintedOn);
    EXPECT_EQ(cut, all(cut[0])) << "half an edit";
    EXPECT_EQ(http(port, "GET", "/v1/worlds/w@gone").status, 404u);
    EXPECT_EQ(json::parse(http(port, "GET", "/v1/worlds/w@b/versions").body)["versions"].size(), 1u);
  };
  check();
  // Its lines go on, and stay what they are over a kill.
  paint(port, "w@b", map::Rect::of_size(40, 40, 4, 2), 7);
  paint(port, "w", map::Rect::of_size(40, 40, 4, 2), 8);
  server->kill();
  server = std::make_unique<ServerProcess>(restored, std::vector<std::string>{}, port);
  check();
  EXPECT_EQ(look(port, "w@b", map::Rect::of_size(40, 40, 4, 2)), all(7));
  EXPECT_EQ(look(port, "w", map::Rect::of_size(40, 40, 4, 2)), all(8));
  ASSERT_EQ(http(port, "DELETE", kBranches + "/c").status, 200u);
  ASSERT_EQ(http(port, "DELETE", kBranches + "/b").status, 200u);
  ASSERT_EQ(server->terminate(), 0);
  const Ran after = run_program(kServer, {"verify", restored});
  EXPECT_EQ(after.exit_code, 0) << after.output;
}

INSTANTIATE_TEST_SUITE_P(Loads, BranchesUnderLoad, testing::Values(Load::plain, Load::kill, Load::moves));

// Fills its rectangle with ever larger values.
struct Writer {
  Writer(std::uint16_t port, std::string its_world, const map::Rect& its_rect, client::Reactor& reactor)
      : world(std::move(its_world)), rect(its_rect), client(enter(port, world, &reactor)) {}
  void write() {
    if (waiting.size() >= 32) return;
    const auto id = client->edit(client::EditDraft().fill(kLayer, rect, map::Cell{next}));
    ASSERT_TRUE(id.ok());
    waiting.emplace_back(*id, next++);
  }
  void look_for_answers() {
    std::erase_if(waiting, [&](const auto& sent) {
      EXPECT_FALSE(client->rejection(sent.first)) << client->rejection(sent.first)->message;
      if (!client->is_durable(sent.first)) return false;
      durable = std::max(durable, sent.second);
      return true;
    });
  }
  void check(std::uint16_t port) const {
    const auto cells = look(port, world, rect);
    EXPECT_EQ(cells, all(cells[0], 4)) << world << " shows half an edit";
    EXPECT_GE(cells[0], durable) << world;
    EXPECT_LT(cells[0], next) << world;
  }

  std::string world;
  map::Rect rect;
  std::unique_ptr<Client> client;
  std::vector<std::pair<EditId, std::uint32_t>> waiting;
  std::uint32_t next = 1, durable = 0;
};

// Killed again and again while both lines are written and branches come and go.
TEST(Branches, NothingDurableIsLostByKills) {
  const auto seed = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TemporaryFolder folder;
  const std::vector<std::string> flags{"--segment-mib", "1", "--cores", "2"};
  auto server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
  const std::uint16_t port = server->port();
  make_world(port, "w", 1u << 20);
  ASSERT_EQ(http(port, "POST", kBranches, R"({"name":"b"})").status, 201u);
  client::Reactor reactor;
  std::vector<Writer> writers;
  for (const std::int64_t x : {100, 8190}) {
    writers.emplace_back(port, "w", map::Rect::of_size(x, 4, 4, 1), reactor);
    writers.emplace_back(port, "w@b", map::Rect::of_size(x, 5, 4, 1), reactor);
  }
  const map::Rect over_the_border = writers[2].rect;
  for (int kills = 0; kills < 10 && !HasFatalFailure(); ++kills) {
    for (Writer& writer : writers) ASSERT_TRUE(kills % 2 != 0 || writer.client->wait_live(60s).ok());
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 40'000);
    std::thread maker([port, kills] {
      // The server may be killed meanwhile: any answer will do, as long as what there is afterwards makes sense.
      const std::string name = "passing-" + std::to_string(kills);
      http(port, "POST", kBranches, R"({"name":")" + name + R"("})");
      if (kills % 3 != 0) http(port, "DELETE", kBranches + "/" + name);
    });
    do {
      for (Writer& writer : writers) {
        writer.write();
        writer.look_for_answers();
      }
      reactor.run_once(1ms);
    } while (std::chrono::steady_clock::now() < until && !HasFatalFailure());
    server->kill();
    maker.join();
    server = std::make_unique<ServerProcess>(folder.path() / "data", flags, port);
    ASSERT_TRUE(server->running()) << server->log();
    for (const Writer& writer : writers) writer.check(port);
    for (const json& branch : json::parse(http(port, "GET", kBranches).body)["branches"]) {
      const auto cells = look(port, "w@" + branch["name"].get<std::string>(), over_the_border);
      EXPECT_EQ(cells, all(cells[0], 4)) << branch.dump();
    }
  }
  for (Writer& writer : writers) {
    ASSERT_TRUE(writer.client->wait_durable(60s));
    EXPECT_EQ(look(port, writer.world, writer.rect), all(writer.next - 1, 4));
  }
  ASSERT_EQ(server->terminate(), 0);
  const Ran verified = run_program(kServer, {"verify", (folder.path() / "data").string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

}  // namespace
}  // namespace terrazzo::integration

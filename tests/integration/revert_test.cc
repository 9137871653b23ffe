// Taking back what somebody did, on a real server: by user, time and area, over shards; what others painted since stays;
// one step that is undone like any other.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
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
using map::Rect;
using nlohmann::json;

const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";
// In four shards.
const Rect kCorner = Rect::of_size(8188, 8188, 8, 8);

std::vector<std::uint32_t> all(std::uint32_t tile, std::size_t count) {
  return std::vector<std::uint32_t>(count, tile);
}

class Revert : public testing::Test {
 protected:
  Revert() {
    start({"--cores", "2"});
    make_world(server_->port(), "w", 1000);
  }
  void start(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", flags, port_);
    port_ = server_->port();
  }
  void kill_and_start() {
    server_->kill();
    start({"--cores", "1"});
  }
  Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server_->http_url()});
    return run_program(kCli, arguments);
  }
  void paint_as(const std::string& name, const Rect& rect, unsigned tile) {
    const std::string text = std::to_string(rect.x0) + "," + std::to_string(rect.y0) + "," +
                             std::to_string(rect.width()) + "," + std::to_string(rect.height());
    const Ran ran = run({"paint", "w", "--rect", text, "--tile", std::to_string(tile), "--as", name});
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
  }
  json revert(const json& wish, unsigned status = 200) {
    const HttpAnswer answer = http(port_, "POST", "/v1/worlds/w/revert", wish.dump(), authorization_);
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body);
  }
  std::vector<std::uint32_t> shown(const Rect& rect) { return look(port_, "w", rect); }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::uint16_t port_ = 0;
  std::string authorization_;
};

TEST_F(Revert, TakesBackOneUsersEditsOverShardsAndIsUndone) {
  const Rect half = Rect::of_size(8188, 8188, 8, 4);
  paint_as("ann", kCorner, 1);
  paint_as("eve", kCorner, 2);
  paint_as("eve", half, 3);
  paint_as("bob", Rect::of_size(8188, 8188, 2, 2), 4);
  const json preview = revert({{"user", "eve"}, {"preview", true}});
  EXPECT_EQ(preview["reverted"], false);
  EXPECT_EQ(preview["cells"], 60);
  EXPECT_EQ(preview["skipped"], 4);
  EXPECT_EQ(preview["edits"], 2);
  ASSERT_EQ(preview["authors"].size(), 1u);
  EXPECT_EQ(preview["authors"][0]["user"], "eve");
  EXPECT_EQ(preview["authors"][0]["cells"], 60);
  EXPECT_EQ(preview["areas"].size(), 4u);
  EXPECT_EQ(shown(Rect::of_size(8190, 8188, 2, 4)), all(3, 8)) << "a preview changes nothing";

  kill_and_start();
  const json done = revert({{"user", "eve"}, {"name", "olga"}});
  EXPECT_EQ(done["reverted"], true);
  EXPECT_EQ(done["cells"], 60);
  EXPECT_EQ(done["left"], 0);
  EXPECT_EQ(shown(Rect::of_size(8190, 8188, 6, 8)), all(1, 48));
  EXPECT_EQ(shown(Rect::of_size(8188, 8188, 2, 2)), all(4, 4)) << "bob's stay";

  const json again = revert({{"user", "eve"}});
  EXPECT_EQ(again["cells"], 0);
  EXPECT_EQ(again["same"], 60);
  EXPECT_EQ(again["skipped"], 4);

  const Ran undone = run({"undo", "w", "--as", "olga"});
  EXPECT_EQ(undone.exit_code, 0) << undone.output;
  EXPECT_EQ(shown(Rect::of_size(8190, 8188, 6, 4)), all(3, 24));
  EXPECT_EQ(shown(Rect::of_size(8188, 8192, 8, 4)), all(2, 32));
}

TEST_F(Revert, FindsByAreaAndTime) {
  const Rect one = Rect::of_size(0, 0, 4, 1), two = Rect::of_size(0, 10, 4, 1);
  paint_as("eve", one, 1);
  paint_as("eve", two, 1);
  const json page = json::parse(http(port_, "GET", "/v1/worlds/w/history").body);
  const std::uint64_t when = page["edits"][0]["time_ms"];
  paint_as("eve", one, 2);
  EXPECT_EQ(revert({{"since_ms", when}, {"until_ms", when + 1}})["cells"], 4);
  EXPECT_EQ(shown(two), all(0, 4));
  EXPECT_EQ(revert({{"area", {1, 0, 2, 1}}})["cells"], 2);
  EXPECT_EQ(shown(one), (std::vector<std::uint32_t>{2, 0, 0, 2}));
  EXPECT_EQ(revert({{"user", "eve"}, {"layer", 7}})["cells"], 0);
}

TEST_F(Revert, OfEditsTooLargeForTheirLogRecords) {
  const Rect large = Rect::of_size(8000, 100, 700, 300), hole = Rect::of_size(8190, 200, 4, 4);
  paint_as("ann", Rect::of_size(8000, 100, 10, 10), 1);
  paint_as("eve", large, 2);
  paint_as("bob", hole, 3);
  const json done = revert({{"user", "eve"}});
  EXPECT_EQ(done["cells"], large.area() - hole.area());
  EXPECT_EQ(done["skipped"], hole.area());
  EXPECT_EQ(shown(Rect::of_size(8000, 100, 10, 10)), all(1, 100));
  EXPECT_EQ(shown(Rect::of_size(8100, 150, 10, 10)), all(0, 100));
  EXPECT_EQ(shown(hole), all(3, 16));
}

TEST_F(Revert, LeavesWhatPeoplePaintMeanwhile) {
  paint_as("eve", Rect::of_size(0, 0, 200, 200), 2);
  // Painted again and again, so that some strokes come between looking and applying; whatever happens, the newest stays.
  const auto ann = enter(port_);
  std::atomic<bool> done{false};
  std::uint32_t tile = 10;
  std::thread reverting([&] {
    revert({{"user", "eve"}});
    done = true;
  });
  const Rect place = Rect::of_size(50, 50, 20, 20);
  for (int i = 0; i < 50 || !done; ++i) {
    ASSERT_TRUE(ann->edit(client::EditDraft().fill(kPaintedLayer, place, map::Cell{++tile % 900 + 1})).ok());
    ASSERT_TRUE(ann->wait_durable(30s));
  }
  reverting.join();
  EXPECT_EQ(shown(place), all(tile % 900 + 1, 400));
  EXPECT_EQ(shown(Rect::of_size(0, 0, 10, 10)), all(0, 100));
}

TEST_F(Revert, IsForOwnersAndOfOnesOwnEditsForEditors) {
  server_->terminate();
  start({"--cores", "2", "--auth", "token"});
  const auto token = [&](const std::string& user, const std::string& role) {
    std::string text =
        run_program(kCli, {"token", "--data", folder_.path() / "data", "--user", user, "--role", role}).output;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  };
  const auto paint_with = [&](const std::string& held, const std::string& rect) {
    const Ran ran = run({"paint", "w", "--rect", rect, "--tile", "5", "--token", held});
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
  };
  const std::string eve = token("eve", "editor"), bob = token("bob", "editor");
  paint_with(eve, "0,0,2,1");
  paint_with(bob, "5,0,2,1");
  authorization_ = "Bearer " + token("guest", "viewer");
  EXPECT_EQ(revert({{"user", "guest"}}, 403)["title"], "forbidden");
  authorization_ = "Bearer " + eve;
  EXPECT_EQ(revert({{"user", "bob"}}, 403)["title"], "forbidden");
  EXPECT_EQ(revert({{"area", {0, 0, 9, 9}}}, 403)["title"], "forbidden");
  EXPECT_EQ(revert({{"user", "eve"}})["cells"], 2);
  authorization_ = "Bearer " + token("olga", "owner");
  EXPECT_EQ(revert({{"area", {0, 0, 9, 9}}})["cells"], 2) << "bob's; eve's are what they were";
}

TEST_F(Revert, TheCommandLineShowsFirstAndAsks) {
  paint_as("ann", Rect::of_size(0, 0, 4, 4), 1);
  paint_as("eve", Rect::of_size(0, 0, 4, 4), 2);
  const std::vector<std::string> command{"revert", "w", "--user", "eve", "--since", "1h", "--rect", "0,0,100,100"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return run(more);
  };
  const Ran preview = with({"--preview"});
  EXPECT_EQ(preview.exit_code, 0) << preview.output;
  EXPECT_NE(preview.output.find("16 cells become what they were before"), std::string::npos) << preview.output;
  EXPECT_NE(preview.output.find("eve"), std::string::npos) << preview.output;
  EXPECT_EQ(shown(Rect::of_size(0, 0, 4, 4)), all(2, 16));
  const Ran done = with({"--yes", "--as", "olga"});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_EQ(shown(Rect::of_size(0, 0, 4, 4)), all(1, 16));
  const Ran wrong = run({"revert", "w", "--since", "yesterday"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.output.find("2026-11-22"), std::string::npos) << wrong.output;
  const Ran everything = run({"revert", "w", "--yes"});
  EXPECT_EQ(everything.exit_code, 1);
  EXPECT_NE(everything.output.find("--user, --since or --rect"), std::string::npos) << everything.output;
}

TEST_F(Revert, BadWishesAreToldWhatWouldBeRight) {
  for (const char* body : {"", "[]", "{}", R"({"layer": 1})", R"({"user": 7})", R"({"area": [0, 0, 0, 1]})",
                           R"({"user": "a", "since_ms": -1})", R"({"user": "a", "layer": 256})",
                           R"({"user": "a", "preview": 1})", R"({"user": "a", "what": 1})",
                           R"({"area": [0, 0, 1, 99999999999999999999]})"}) {
    const HttpAnswer answer = http(port_, "POST", "/v1/worlds/w/revert", body);
    EXPECT_EQ(answer.status, 400u) << body << ": " << answer.body;
    EXPECT_NE(answer.body.find("since_ms"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/w/revert").status, 405u);
  EXPECT_EQ(http(port_, "POST", "/v1/worlds/none/revert", R"({"user": "a"})").status, 404u);
}

}  // namespace
}  // namespace terrazzo::integration

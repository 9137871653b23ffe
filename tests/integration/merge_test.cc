// Merging a branch on a real server: what only the branch changed comes, what only the line changed stays, what both
// changed is nobody's guess; one edit over shards, that is undone like any other; and again, after a kill, too.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
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
using client::Client;
using map::Rect;
using nlohmann::json;

const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";
const std::string kMerge = "/v1/worlds/w/branches/b/merge";
// In four shards.
const Rect kCorner = Rect::of_size(8188, 8188, 8, 8);

std::vector<std::uint32_t> all(std::uint32_t tile, std::size_t count) {
  return std::vector<std::uint32_t>(count, tile);
}

class Merge : public testing::Test {
 protected:
  Merge() {
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--cores", "2"});
    port_ = server_->port();
    make_world(port_, "w", 1000);
    paint(port_, "w", kCorner, 1);
    EXPECT_EQ(http(port_, "POST", "/v1/worlds/w/branches", R"({"name":"b"})").status, 201u);
  }
  void kill_and_start() {
    server_->kill();
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--cores", "1"}, port_);
  }
  json merge(const json& wish, unsigned status = 200) {
    const HttpAnswer answer = http(port_, "POST", kMerge, wish.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body);
  }
  std::vector<std::uint32_t> shown(const Rect& rect, const std::string& world = "w") {
    return look(port_, world, rect);
  }
  std::string address() const { return server_->http_url(); }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::uint16_t port_ = 0;
};

TEST_F(Merge, TakesWhatOnlyTheBranchChangedIsSeenByAllAndIsUndoneInOneStep) {
  paint(port_, "w@b", kCorner, 2);
  paint(port_, "w@b", Rect::of_size(100, 100, 300, 200), 3);
  paint(port_, "w", Rect::of_size(0, 0, 4, 2), 4);  // only here
  const auto viewer = enter(port_);
  const auto view = viewer->subscribe(kCorner);
  ASSERT_TRUE(viewer->wait_until([&] { return viewer->is_ready(*view); }, 30s));

  const json preview = merge({{"preview", true}});
  EXPECT_EQ(preview["merged"], false);
  EXPECT_EQ(preview["cells"], 64 + 300 * 200) << preview;
  EXPECT_EQ(shown(kCorner), all(1, 64)) << "a preview changes nothing";

  const json done = merge({{"name", "ann"}});
  EXPECT_EQ(done["merged"], true);
  EXPECT_EQ(done["cells"], 64 + 300 * 200) << done;
  EXPECT_EQ(done["conflicts"], 0);
  EXPECT_EQ(done["left"], 0);
  EXPECT_TRUE(viewer->wait_until([&] { return viewer->read(kPaintedLayer, {8195, 8195}) == map::Cell{2}; }, 30s));
  const auto check = [&] {
    EXPECT_EQ(shown(kCorner), all(2, 64));
    EXPECT_EQ(shown(Rect::of_size(399, 299, 2, 2)), (std::vector<std::uint32_t>{3, 0, 0, 0}));
    EXPECT_EQ(shown(Rect::of_size(0, 0, 4, 2)), all(4, 8));
    EXPECT_EQ(shown(Rect::of_size(0, 0, 4, 2), "w@b"), all(0, 8)) << "the branch is as it was";
  };
  check();
  kill_and_start();
  check();
  const Ran undone = run_program(kCli, {"undo", "w", "--as", "ann", "--server", address()});
  EXPECT_EQ(undone.exit_code, 0) << undone.output;
  EXPECT_EQ(shown(kCorner), all(1, 64));
  EXPECT_EQ(shown(Rect::of_size(399, 299, 2, 2)), all(0, 4));
  const Ran redone = run_program(kCli, {"redo", "w", "--as", "ann", "--server", address()});
  EXPECT_EQ(redone.exit_code, 0) << redone.output;
  check();
}

TEST_F(Merge, ConflictsAreListedAndDecidedOnAllTogetherOrOneByOne) {
  const Rect left = Rect::of_size(10, 10, 4, 2), middle = Rect::of_size(50, 10, 4, 2),
             right = Rect::of_size(90, 10, 4, 2), alike = Rect::of_size(200, 10, 4, 2);
  for (const Rect& rect : {left, middle, right, alike}) paint(port_, "w", rect, 5);
  for (const Rect& rect : {left, middle, right}) paint(port_, "w@b", rect, 6);
  paint(port_, "w@b", alike, 5);
  paint(port_, "w@b", Rect::of_size(300, 10, 4, 2), 6);  // no conflict

  const json refused = merge(json::object(), 409);
  EXPECT_EQ(refused["conflicts"], 24);
  EXPECT_EQ(refused["undecided"], 24);
  EXPECT_EQ(refused["same"], 8);
  EXPECT_EQ(refused["title"], "conflict");
  ASSERT_EQ(refused["areas"].size(), 3u) << refused;
  EXPECT_EQ(refused["areas"][0]["rect"], (json{10, 10, 4, 2}));
  EXPECT_EQ(refused["areas"][0]["cells"], 8);
  EXPECT_EQ(shown(Rect::of_size(300, 10, 4, 2)), all(0, 8)) << "nothing was merged";

  // The rest is still undecided.
  const json choices = {{{"rect", {10, 10, 2, 2}}, {"take", "theirs"}},
                        {{"rect", {10, 10, 100, 2}}, {"take", "ours"}, {"layer", kPaintedLayer + 1}},
                        {{"rect", {50, 10, 4, 2}}, {"take", "ours"}}};
  EXPECT_EQ(merge({{"choices", choices}}, 409)["undecided"], 12);
  const json done = merge({{"choices", choices}, {"conflicts", "theirs"}});
  EXPECT_EQ(done["cells"], 8 + 16) << done;
  EXPECT_EQ(shown(left), all(6, 8));
  EXPECT_EQ(shown(middle), all(5, 8));
  EXPECT_EQ(shown(right), all(6, 8));
  EXPECT_EQ(shown(alike), all(5, 8));
  EXPECT_EQ(shown(Rect::of_size(300, 10, 4, 2)), all(6, 8));
  // What was decided is not asked again, nor after a kill; what is new is merged.
  EXPECT_EQ(merge({{"preview", true}})["conflicts"], 0);
  kill_and_start();
  paint(port_, "w", right, 8);
  paint(port_, "w@b", Rect::of_size(300, 10, 2, 2), 7);
  const json again = merge(json::object());
  EXPECT_EQ(again["cells"], 4) << again;
  EXPECT_EQ(shown(right), all(8, 8)) << "the branch has not changed it since";
  kill_and_start();
  EXPECT_EQ(merge({{"preview", true}})["cells"], 0);
}

TEST_F(Merge, GoesIntoTheBranchThatItBeganIn) {
  paint(port_, "w@b", kCorner, 2);
  ASSERT_EQ(http(port_, "POST", "/v1/worlds/w@b/branches", R"({"name":"c"})").status, 201u);
  paint(port_, "w@c", kCorner, 3);
  const HttpAnswer merged = http(port_, "POST", "/v1/worlds/w/branches/c/merge", "{}");
  EXPECT_EQ(merged.status, 200u) << merged.body;
  EXPECT_EQ(shown(kCorner, "w@b"), all(3, 64));
  EXPECT_EQ(shown(kCorner), all(1, 64));
  merge(json::object());
  EXPECT_EQ(shown(kCorner), all(3, 64));
  // A branch that was merged can go, with nothing of what it gave.
  ASSERT_EQ(http(port_, "DELETE", "/v1/worlds/w/branches/c").status, 200u);
  ASSERT_EQ(http(port_, "DELETE", "/v1/worlds/w/branches/b").status, 200u);
  kill_and_start();
  EXPECT_EQ(shown(kCorner), all(3, 64));
}

TEST_F(Merge, AreaByAreaEndsWithAllOfIt) {
  paint(port_, "w@b", kCorner, 2);
  paint(port_, "w@b", Rect::of_size(10, 10, 10, 10), 2);
  const json part = merge({{"area", {8188, 8188, 4, 8}}});
  EXPECT_EQ(part["cells"], 32);
  EXPECT_EQ(shown(Rect::of_size(8192, 8188, 4, 8)), all(1, 32));
  const json rest = merge(json::object());
  EXPECT_EQ(rest["cells"], 32 + 100) << rest;
  EXPECT_EQ(rest["same"], 32);
  EXPECT_EQ(shown(kCorner), all(2, 64));
}

// What is painted while a merge compares and applies stays, whichever of the two the merge would have it be.
TEST_F(Merge, LosesNothingOfWhatIsPaintedMeanwhile) {
  const Rect strip = Rect::of_size(0, 0, 64, 1);
  client::Reactor reactor;
  const auto painter = enter(port_, "w", &reactor);
  std::uint32_t value = 100;
  for (int round = 0; round < 6 && !HasFatalFailure(); ++round) {
    paint(port_, "w@b", Rect::of_size(0, 0, 64, 40), static_cast<std::uint32_t>(10 + round));
    std::optional<json> done;
    std::thread merging([&] { done = merge({{"conflicts", "theirs"}}); });
    std::vector<std::uint32_t> mine;
    for (int x = 0; x < 64; ++x) {
      mine.push_back(++value);
      EXPECT_TRUE(painter->edit(client::EditDraft().set(kPaintedLayer, {x, 0}, map::Cell{value})).ok());
      reactor.run_once(0ms);
    }
    EXPECT_TRUE(painter->wait_durable(30s));
    merging.join();
    // A cell painted before the comparison becomes the branch's, a later one stays: in between there is no other.
    const auto row = shown(strip);
    for (std::size_t x = 0; x < 64; ++x)
      EXPECT_TRUE(row[x] == mine[x] || row[x] == static_cast<std::uint32_t>(10 + round)) << x << ": " << row[x];
    EXPECT_EQ((*done)["merged"], true);
    EXPECT_EQ(shown(Rect::of_size(0, 39, 64, 1)), all(static_cast<std::uint32_t>(10 + round), 64));
  }
}

TEST_F(Merge, AClaimIsInTheWayAndTheWholeMergeWaits) {
  paint(port_, "w@b", kCorner, 2);
  const auto holder = enter(port_);
  const auto claim = holder->claim(Rect::of_size(8195, 8195, 1, 1));
  ASSERT_TRUE(claim.ok()) << claim.error().message;
  ASSERT_TRUE(holder->wait_until([&] { return holder->holds(*claim); }, 30s));
  const json refused = merge(json::object(), 409);
  EXPECT_EQ(refused["title"], "claimed") << refused;
  EXPECT_EQ(shown(kCorner), all(1, 64));
  holder->close();
}

TEST_F(Merge, BadWishesAreToldWhatWouldBeRight) {
  for (const char* wish :
       {"[]", R"({"conflicts":"mine"})", R"({"choices":[{"rect":[1,2,3],"take":"ours"}]})",
        R"({"choices":[{"rect":[1,2,3,4],"take":"both"}]})", R"({"area":[0,0,0,5]})", R"({"branch":"x"})"}) {
    const HttpAnswer answer = http(port_, "POST", kMerge, wish);
    EXPECT_EQ(answer.status, 400u) << wish;
    EXPECT_NE(answer.body.find("choices"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(http(port_, "GET", kMerge).status, 405u);
  EXPECT_EQ(http(port_, "POST", "/v1/worlds/w/branches/none/merge", "{}").status, 404u);
}

TEST_F(Merge, TheCommandLineShowsConflictsAndTakesDecisions) {
  paint(port_, "w", Rect::of_size(10, 10, 4, 2), 5);
  paint(port_, "w@b", Rect::of_size(10, 10, 4, 2), 6);
  paint(port_, "w@b", Rect::of_size(40, 40, 4, 2), 6);
  const Ran preview = run_program(kCli, {"merge", "w", "b", "--preview", "--server", address()});
  EXPECT_EQ(preview.exit_code, 0) << preview.output;
  EXPECT_NE(preview.output.find("8 cells in 10,10,4,2"), std::string::npos) << preview.output;
  const Ran refused = run_program(kCli, {"merge", "w", "b", "--server", address()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.output.find("--take"), std::string::npos) << refused.output;
  const Ran merged =
      run_program(kCli, {"merge", "w", "b", "--theirs", "10,10,2,2", "--ours", "12,10,2,2", "--server", address()});
  EXPECT_EQ(merged.exit_code, 0) << merged.output;
  EXPECT_NE(merged.output.find("12 cells"), std::string::npos) << merged.output;
  EXPECT_EQ(shown(Rect::of_size(10, 10, 4, 2)), (std::vector<std::uint32_t>{6, 6, 5, 5, 6, 6, 5, 5}));
}

}  // namespace
}  // namespace terrazzo::integration

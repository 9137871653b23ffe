// What was done in a world, asked of a real server: by area, user, time and page, over shards, undo and a kill.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
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
const Rect kBorder = Rect::of_size(8190, 10, 4, 2);  // in two shards

class History : public testing::Test {
 protected:
  History() {
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--cores", "2"});
    port_ = server_->port();
    make_world(port_, "w", 1000);
  }
  void paint_as(const std::string& name, const std::string& rect, unsigned tile) {
    const Ran ran = run_program(kCli, {"paint", "w", "--rect", rect, "--tile", std::to_string(tile), "--as", name,
                                       "--server", server_->http_url()});
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
  }
  json ask(const std::string& query, unsigned status = 200) {
    const HttpAnswer answer = http(port_, "GET", "/v1/worlds/w/history" + query);
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body);
  }
  // What the edits wrote, in order.
  std::vector<int> cells(const std::string& query) {
    std::vector<int> cells;
    const json page = ask(query);
    for (const json& edit : page["edits"]) cells.push_back(edit["changes"][0].value("cell", -1));
    return cells;
  }
  void kill_and_start() {
    server_->kill();
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--cores", "1"}, port_);
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::uint16_t port_ = 0;
};

TEST_F(History, IsFoundByAreaUserAndTimeOverShardsUndoAndAKill) {
  paint_as("ann", "0,0,10,10", 1);
  paint_as("bob", "5,5,10,10", 2);
  paint_as("ann", "8190,10,4,2", 3);
  const json before = ask("");
  const auto check = [&] {
    EXPECT_EQ(cells(""), (std::vector<int>{3, 2, 1}));
    EXPECT_EQ(cells("?area=9,9,1,1"), (std::vector<int>{2, 1}));
    EXPECT_EQ(cells("?area=14,14,1,1"), (std::vector<int>{2}));
    EXPECT_EQ(cells("?area=0,0,100,100&user=ann"), (std::vector<int>{1}));
    EXPECT_EQ(cells("?user=nobody"), std::vector<int>());
    EXPECT_EQ(cells("?layer=1&limit=1"), (std::vector<int>{3}));
    EXPECT_EQ(cells("?layer=7"), std::vector<int>());
    EXPECT_EQ(cells("?area=-50,-50,20,20"), std::vector<int>());
    const std::string when = std::to_string(before["edits"][1]["time_ms"].get<std::int64_t>());
    EXPECT_EQ(cells("?until_ms=" + when), (std::vector<int>{1}));
    EXPECT_EQ(cells("?since_ms=" + when), (std::vector<int>{3, 2}));
    // One edit, both of its parts.
    const json over_shards = ask("?area=8190,10,4,2")["edits"];
    ASSERT_EQ(over_shards.size(), 1u) << over_shards;
    EXPECT_EQ(over_shards[0]["changes"].size(), 2u);
    std::set<int> shards;
    for (const json& change : over_shards[0]["changes"]) shards.insert(change["shard"][0].get<int>());
    EXPECT_EQ(shards, (std::set<int>{0, 1}));
  };
  check();
  EXPECT_EQ(before["edits"][1]["user"], "bob");
  kill_and_start();  // what was in the log is sealed now
  check();

  const Ran undone = run_program(kCli, {"undo", "w", "--as", "bob", "--server", server_->http_url()});
  ASSERT_EQ(undone.exit_code, 0) << undone.output;
  const json after = ask("?area=14,14,1,1")["edits"];
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0]["undo_of"]["author"], after[1]["author"]);
  EXPECT_EQ(after[0]["undo_of"]["edit"], after[1]["edit"]);
}

TEST_F(History, IsReadPageByPageEachEditOnce) {
  constexpr int kEdits = 150;
  {
    const auto one = enter(port_), other = enter(port_);
    for (int i = 0; i < kEdits; ++i) {
      const auto draft = client::EditDraft().fill(kPaintedLayer, i % 3 == 0 ? kBorder : Rect::of_size(i, 50, 1, 1),
                                                  map::Cell{static_cast<std::uint32_t>(i + 1)});
      ASSERT_TRUE((i % 2 == 0 ? one : other)->edit(draft).ok());
      if (i == kEdits / 2) {
        ASSERT_TRUE(one->wait_durable(30s));
        ASSERT_TRUE(other->wait_durable(30s));
        kill_and_start();
        ASSERT_TRUE(one->wait_live(30s));
        ASSERT_TRUE(other->wait_live(30s));
      }
    }
    ASSERT_TRUE(one->wait_durable(30s));
    ASSERT_TRUE(other->wait_durable(30s));
  }
  std::vector<int> all;
  std::string before;
  std::uint64_t last_ms = ~std::uint64_t{0};
  for (int pages = 0; pages < kEdits; ++pages) {
    const json page = ask("?limit=7" + before);
    EXPECT_LE(page["edits"].size(), 7u);
    for (const json& edit : page["edits"]) {
      all.push_back(edit["changes"][0]["cell"].get<int>());
      EXPECT_EQ(edit["changes"].size(), edit["changes"][0]["rect"][1] == 50 ? 1u : 2u);
      EXPECT_LE(edit["time_ms"].get<std::uint64_t>(), last_ms);
      last_ms = edit["time_ms"].get<std::uint64_t>();
    }
    if (page["next"].is_null()) break;
    before = "&before=" + page["next"].get<std::string>();
  }
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kEdits));
  EXPECT_EQ(std::set<int>(all.begin(), all.end()).size(), static_cast<std::size_t>(kEdits));
}

TEST_F(History, TheCommandLineListsEditsAndBlames) {
  paint_as("ann", "0,0,10,10", 1);
  paint_as("bob", "5,5,10,10", 2);
  const std::string server = server_->http_url();
  const Ran all = run_program(kCli, {"history", "w", "--server", server});
  EXPECT_EQ(all.exit_code, 0) << all.output;
  EXPECT_LT(all.output.find("bob"), all.output.find("ann")) << all.output;
  EXPECT_NE(all.output.find("fill layer 1 0,0,10,10 = 1"), std::string::npos) << all.output;
  const Ran one = run_program(kCli, {"blame", "w", "7,7", "--server", server});
  EXPECT_NE(one.output.find("bob"), std::string::npos) << one.output;
  EXPECT_EQ(one.output.find("ann"), std::string::npos) << one.output;
  const Ran corner = run_program(kCli, {"blame", "w", "2,2", "--server", server});
  EXPECT_NE(corner.output.find("ann"), std::string::npos) << corner.output;
  const Ran nobody = run_program(kCli, {"blame", "w", "500,500", "--server", server});
  EXPECT_NE(nobody.output.find("nothing"), std::string::npos) << nobody.output;
}

TEST_F(History, BadQuestionsAreToldWhatWouldBeRight) {
  for (const char* query : {"?area=1,2,3", "?area=1,2,0,4", "?layer=300", "?limit=0", "?limit=2000", "?before=x",
                            "?since_ms=-1", "?what=1", "?user=%zz"}) {
    const json answer = ask(query, 400);
    EXPECT_NE(answer["detail"].get<std::string>().find("area=X,Y,WIDTH,HEIGHT"), std::string::npos) << query;
  }
  EXPECT_EQ(http(port_, "POST", "/v1/worlds/w/history", "{}").status, 405u);
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/none/history").status, 404u);
}

}  // namespace
}  // namespace terrazzo::integration

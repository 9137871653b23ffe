// What a world was at a time, on a real server: as cells and as pictures, over kills and branches, as far back as history
// is kept; and who is who after a restart.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/render.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using map::Rect;
using nlohmann::json;

const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";
const Rect kBorder = Rect::of_size(8190, 10, 4, 2);  // in two shards

std::string text_of(const Rect& rect) {
  return std::to_string(rect.x0) + "," + std::to_string(rect.y0) + "," + std::to_string(rect.width()) + "," +
         std::to_string(rect.height());
}

class PastOfAServer : public testing::Test {
 protected:
  PastOfAServer() {
    start({"--cores", "2"});
    make_world(port_, "w", 1000);
  }
  void start(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", flags, port_);
    port_ = server_->port();
  }
  Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server_->http_url()});
    return run_program(kCli, arguments);
  }
  void paint_as(const std::string& name, const Rect& rect, unsigned tile, const std::string& world = "w") {
    const Ran ran = run({"paint", world, "--rect", text_of(rect), "--tile", std::to_string(tile), "--as", name});
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
  }
  json history(const std::string& query = "", const std::string& world = "w") {
    return json::parse(http(port_, "GET", "/v1/worlds/" + world + "/history" + query).body);
  }
  // When the newest edit was made; the server's clock tells at least a millisecond between two programs.
  std::uint64_t newest_ms(const std::string& world = "w") { return history("?limit=1", world)["edits"][0]["time_ms"]; }
  HttpAnswer ask(const Rect& rect, const std::string& more = "", const std::string& world = "w") {
    return http(port_, "GET", "/v1/worlds/" + world + "/cells?layer=1&area=" + text_of(rect) + more);
  }
  std::vector<std::uint32_t> cells(const Rect& rect, const std::string& more = "", const std::string& world = "w") {
    const HttpAnswer answer = ask(rect, more, world);
    EXPECT_EQ(answer.status, 200u) << answer.body;
    std::vector<std::uint32_t> all;
    const json body = json::parse(answer.body);
    const json& runs = body["runs"];
    for (std::size_t i = 0; i + 1 < runs.size(); i += 2)
      all.insert(all.end(), runs[i].get<std::size_t>(), runs[i + 1].get<std::uint32_t>());
    return all;
  }
  static std::string at(std::uint64_t ms) { return "&at_ms=" + std::to_string(ms); }
  static std::vector<std::uint32_t> all(std::uint32_t tile, std::size_t count) {
    return std::vector<std::uint32_t>(count, tile);
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::uint16_t port_ = 0;
};

TEST_F(PastOfAServer, IsToldCellByCellOverAKill) {
  std::vector<std::uint64_t> times;
  for (unsigned tile = 1; tile <= 3; ++tile) {
    paint_as("ann", kBorder, tile);
    times.push_back(newest_ms());
  }
  // Too many cells for a log record.
  paint_as("bob", Rect::of_size(8000, 0, 300, 300), 9);
  const auto check = [&] {
    EXPECT_EQ(cells(kBorder), all(9, 8));
    EXPECT_EQ(cells(kBorder, at(times[0] - 1)), all(0, 8));
    // Stamps are finer than milliseconds.
    for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(cells(kBorder, at(times[i] + 1)), all(i + 1, 8)) << i;
    EXPECT_EQ(cells(Rect::of_size(8189, 10, 3, 1), at(times[1] + 1)), (std::vector<std::uint32_t>{0, 2, 2}));
  };
  check();
  server_->kill();
  start({"--cores", "1"});
  check();
  EXPECT_EQ(history()["complete_since_ms"], 0);
}

TEST_F(PastOfAServer, OfABranchBeginsWithIt) {
  paint_as("ann", kBorder, 1);
  ASSERT_EQ(http(port_, "POST", "/v1/worlds/w/versions", R"({"name": "one"})").status, 201u);
  ASSERT_EQ(http(port_, "POST", "/v1/worlds/w/branches", R"({"name": "b"})").status, 201u);
  const std::uint64_t before = newest_ms();
  paint_as("ann", kBorder, 2, "w@b");
  const std::uint64_t first = newest_ms("w@b");
  paint_as("ann", kBorder, 3, "w@b");
  EXPECT_EQ(cells(kBorder, at(first + 1), "w@b"), all(2, 8));
  EXPECT_EQ(cells(kBorder, "", "w@b"), all(3, 8));
  EXPECT_EQ(cells(kBorder), all(1, 8));
  paint_as("ann", kBorder, 4);
  EXPECT_EQ(cells(kBorder, "&version=one"), all(1, 8));
  const HttpAnswer early = ask(kBorder, at(before - 1), "w@b");
  EXPECT_EQ(early.status, 404u);
  EXPECT_NE(early.body.find("the branch begins at"), std::string::npos) << early.body;
}

TEST_F(PastOfAServer, BeforeWhatIsKeptIsNotFoundAndItIsSaidHowFarThatGoes) {
  paint_as("ann", kBorder, 1);
  const std::uint64_t first = newest_ms();
  server_->terminate();
  start({"--cores", "2", "--history-mib", "0"});
  server_->terminate();  // what the run before logged is let go
  start({"--cores", "2", "--history-mib", "0"});
  const json page = history();
  EXPECT_TRUE(page["edits"].empty());
  // Right after the start the log of the run before may still be on its way out, and the reach with it.
  std::uint64_t since = page["complete_since_ms"];
  HttpAnswer early = ask(kBorder, at(first));
  for (int tries = 0; tries < 1000 && early.body.find("at_ms=" + std::to_string(since)) == std::string::npos; ++tries) {
    since = history()["complete_since_ms"];
    early = ask(kBorder, at(first));
  }
  EXPECT_GT(since, first);
  EXPECT_EQ(early.status, 404u);
  EXPECT_NE(early.body.find("at_ms=" + std::to_string(since)), std::string::npos) << early.body << since;
  EXPECT_EQ(cells(kBorder, at(since)), all(1, 8));
}

TEST_F(PastOfAServer, BadQuestionsAreToldWhatWouldBeRight) {
  for (const char* query : {"", "?layer=1", "?area=0,0,1,1", "?layer=1&area=0,0,1", "?layer=1&area=0,0,1,1&at_ms=x",
                            "?layer=1&area=0,0,1,1&at_ms=1&version=v", "?layer=1&area=0,0,1,1&what=1",
                            "?layer=1&area=2147483647,0,2,1"}) {
    const HttpAnswer answer = http(port_, "GET", std::string("/v1/worlds/w/cells") + query);
    EXPECT_EQ(answer.status, 400u) << query;
    EXPECT_NE(answer.body.find("at_ms="), std::string::npos) << query;
  }
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/w/cells?layer=7&area=0,0,1,1").status, 404u);
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/w/cells?layer=1&area=0,0,1,1&version=none").status, 404u);
  EXPECT_EQ(http(port_, "GET", "/v1/worlds/none/cells?layer=1&area=0,0,1,1").status, 404u);
  const HttpAnswer large = http(port_, "GET", "/v1/worlds/w/cells?layer=1&area=0,0,1025,1024");
  EXPECT_EQ(large.status, 413u);
  EXPECT_NE(large.body.find("1048576"), std::string::npos) << large.body;
  EXPECT_EQ(http(port_, "POST", "/v1/worlds/w/cells", "{}").status, 405u);
}

TEST_F(PastOfAServer, KnowsItsUsersByNameAfterAKillUntilTheyAreForgotten) {
  paint_as("ann", kBorder, 1);
  paint_as("bob", kBorder, 2);
  // On disk a moment after they came in; a server that is asked to stop has them there.
  server_->terminate();
  start({"--cores", "1"});
  EXPECT_EQ(history()["edits"][0]["user"], "bob");
  EXPECT_EQ(history()["edits"][1]["user"], "ann");
  const Ran blamed = run({"blame", "w", "8190,10"});
  EXPECT_NE(blamed.output.find("bob"), std::string::npos) << blamed.output;

  const Ran forgotten = run({"forget-user", "bob"});
  EXPECT_EQ(forgotten.exit_code, 0) << forgotten.output;
  EXPECT_EQ(http(port_, "DELETE", "/v1/users/bob").status, 404u);
  EXPECT_EQ(http(port_, "GET", "/v1/users/ann").status, 405u);
  server_->kill();
  start({"--cores", "1"});
  EXPECT_EQ(history()["edits"][0]["user"], nullptr);
  EXPECT_EQ(history()["edits"][1]["user"], "ann");
  EXPECT_EQ(history("?user=bob")["edits"].size(), 1u) << "the edit is his all the same";
}

// Pixels of a picture that are more of one colour than of others.
struct Colours {
  std::uint64_t green = 0, red = 0, other = 0, grey = 0;
};
Colours colours_of(const std::filesystem::path& file) {
  Colours colours;
  std::ifstream in(file, std::ios::binary);
  const Result<render::Image> image = render::decode_png(std::string(std::istreambuf_iterator<char>(in), {}));
  EXPECT_TRUE(image.ok());
  if (!image) return colours;
  for (std::size_t at = 0; at < image->rgba.size(); at += 4) {
    const int red = image->rgba[at], green = image->rgba[at + 1], blue = image->rgba[at + 2];
    ++(red == green && green == blue ? colours.grey : green > red ? colours.green : green < 60 ? colours.red : colours.other);
  }
  return colours;
}

TEST_F(PastOfAServer, IsDrawnWithWhatHasChanged) {
  const Rect added = Rect::of_size(0, 0, 4, 4), removed = Rect::of_size(10, 0, 2, 2), other = Rect::of_size(0, 10, 3, 1);
  paint_as("ann", removed, 1);
  paint_as("ann", other, 1);
  const std::uint64_t before = newest_ms() + 1;
  ASSERT_EQ(http(port_, "POST", "/v1/worlds/w/versions", R"({"name": "one"})").status, 201u);
  ASSERT_EQ(http(port_, "POST", "/v1/worlds/w/branches", R"({"name": "b"})").status, 201u);
  for (const char* world : {"w@b", "w"}) {
    if (std::string(world) == "w") {
      const Ran diff = run({"diff-branch", "w", "b", "--png", folder_.path() / "branch.png", "--rect", "0,0,16,16"});
      EXPECT_EQ(diff.exit_code, 0) << diff.output;
      EXPECT_NE(diff.output.find("16 cells that were empty (green), 4 that are now (red), 3 that"), std::string::npos)
          << diff.output;
    }
    paint_as("ann", added, 2, world);
    paint_as("ann", removed, 0, world);
    paint_as("ann", other, 3, world);
  }
  const auto check = [&](const Ran& drawn, const std::string& file) {
    EXPECT_EQ(drawn.exit_code, 0) << drawn.output;
    const Colours colours = colours_of(folder_.path() / file);
    const std::uint64_t all = colours.green + colours.red + colours.other + colours.grey, cell = all / 256;
    EXPECT_EQ(colours.green, 16 * cell);
    EXPECT_EQ(colours.red, 4 * cell);
    EXPECT_EQ(colours.other, 3 * cell);
  };
  check(run({"diff", "w", "one", "--png", folder_.path() / "versions.png", "--rect", "0,0,16,16"}), "versions.png");
  // What has to be said in milliseconds here is said in hours by people.
  const std::string then = std::to_string((newest_ms() + 2000 - before) / 1000);
  const Ran times = run({"diff-times", "w", then + "s", "now", "--png", folder_.path() / "times.png", "--rect", "0,0,16,16"});
  EXPECT_EQ(times.exit_code, 0) << times.output;
  const Ran early = run({"diff-times", "w", "2020-01-01", "now", "--png", folder_.path() / "early.png", "--rect", "0,0,16,16"});
  EXPECT_EQ(early.exit_code, 0) << "before the first edit everything was empty: " << early.output;
  EXPECT_EQ(run({"render", "w", folder_.path() / "then.png", "--at", "1h", "--rect", "0,0,16,16"}).exit_code, 0);
  EXPECT_EQ(run({"render", "w", folder_.path() / "one.png", "--version", "one", "--rect", "0,0,16,16"}).exit_code, 0);
  const Ran wrong = run({"render", "w", folder_.path() / "no.png", "--at", "someday", "--rect", "0,0,16,16"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.output.find("2h"), std::string::npos) << wrong.output;
}

}  // namespace
}  // namespace terrazzo::integration

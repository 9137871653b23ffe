// /metrics of a real server after work whose size is known, and its list in docs/operations.md.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

constexpr int kEdits = 10, kOutside = 3;

// The lines of the page, with the cores added up: "name" or "name{code="x"}" or "name{le="x"}".
using Page = std::map<std::string, double>;

Page read_page(std::uint16_t port) {
  Page page;
  std::istringstream lines(http(port, "GET", "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t end = line.rfind(' ');
    std::string name = line.substr(0, end);
    if (const std::size_t core = name.find("core=\""); core != std::string::npos)
      name.erase(core, name.find('"', core + 6) + 1 - core);
    if (const std::size_t comma = name.find("{,"); comma != std::string::npos) name.erase(comma + 1, 1);
    if (name.ends_with("{}")) name.resize(name.size() - 2);
    page[name] += std::stod(line.substr(end + 1));
  }
  return page;
}

std::string edit(int id, int x) {
  return R"({"type":"edit","id":)" + std::to_string(id) + R"(,"ops":[{"op":"fill","layer":1,"x":)" + std::to_string(x) +
         R"(,"y":0,"cell":7}]})";
}

void enter(WebSocketPeer& peer) {
  ASSERT_TRUE(peer.send_text(
      R"([{"type":"hello"},{"type":"open","world":"w"},{"type":"subscribe","sub":1,"rect":[0,0,64,64]}])"));
  ASSERT_TRUE(peer.read_until(R"("type":"subscribed")"));
}

class Metrics : public testing::Test {
 protected:
  Metrics() { make_world(server_.port(), "w", 50, "[0,0,64,64]"); }

  TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "data", {"--cores", "2"}};
};

TEST_F(Metrics, CountWhatWasDone) {
  WebSocketPeer painter(server_.port(), "terrazzo.v1.json"), viewer(server_.port(), "terrazzo.v1.json");
  enter(painter);
  enter(viewer);
  for (int id = 1; id <= kEdits; ++id) {  // one after the other, so each is a group of its own
    ASSERT_TRUE(painter.send_text(edit(id, id)));
    ASSERT_TRUE(painter.read_until(R"("type":"ack")"));
    ASSERT_TRUE(viewer.read_until(R"("type":"applied")"));
  }
  for (int id = kEdits + 1; id <= kEdits + kOutside; ++id) {
    ASSERT_TRUE(painter.send_text(edit(id, 1000)));
    ASSERT_TRUE(painter.read_until(R"("code":"out_of_bounds")"));
  }
  ASSERT_TRUE(painter.send_text(R"({"type":"dance"})"));
  ASSERT_TRUE(painter.read_until(R"("code":"unknown_type")"));

  Page page = read_page(server_.port());
  EXPECT_EQ(page["terrazzo_edits_received_total"], kEdits + kOutside);
  EXPECT_EQ(page["terrazzo_edits_applied_total"], kEdits);
  EXPECT_EQ(page["terrazzo_publications_total"], kEdits);
  EXPECT_EQ(page["terrazzo_encodings_total"], kEdits);
  EXPECT_EQ(page["terrazzo_deliveries_total"], 2 * kEdits);
  EXPECT_EQ(page["terrazzo_acks_total"], kEdits);
  EXPECT_EQ(page["terrazzo_rejects_total{code=\"out_of_bounds\"}"], kOutside);
  EXPECT_EQ(page["terrazzo_rejects_total{code=\"claimed\"}"], 0);
  EXPECT_EQ(page["terrazzo_errors_total{code=\"unknown_type\"}"], 1);
  EXPECT_EQ(page["terrazzo_errors_total{code=\"out_of_bounds\"}"], 0);
  EXPECT_EQ(page["terrazzo_sessions"], 2);
  EXPECT_EQ(page["terrazzo_edits_in_flight"], 0);
  EXPECT_EQ(page["terrazzo_edits_waiting_for_log"], 0);
  EXPECT_EQ(page["terrazzo_log_records_total"], kEdits);
  EXPECT_EQ(page["terrazzo_log_group_records_sum"], kEdits);
  EXPECT_EQ(page["terrazzo_log_group_records_bucket{le=\"1\"}"], kEdits);
  EXPECT_EQ(page["terrazzo_log_group_seconds_count"], kEdits);
  EXPECT_EQ(page["terrazzo_log_group_bytes_sum"], page["terrazzo_log_bytes_total"]);
  EXPECT_GT(page["terrazzo_received_bytes_total"], 0);
  EXPECT_GT(page["terrazzo_sent_bytes_total"], 0);
}

TEST_F(Metrics, HistogramsAreWhole) {
  Page page = read_page(server_.port());
  EXPECT_GT(page["terrazzo_ticks_total"], 0);
  for (const std::string name : {"terrazzo_tick_seconds", "terrazzo_tick_system_calls", "terrazzo_mesh_messages"}) {
    SCOPED_TRACE(name);
    EXPECT_GT(page[name + "_count"], 0);
    EXPECT_EQ(page[name + "_bucket{le=\"+Inf\"}"], page[name + "_count"]);
  }
  EXPECT_EQ(page["terrazzo_tick_seconds_count"], page["terrazzo_ticks_total"]);
  EXPECT_GT(page["terrazzo_tick_seconds_sum"], 0);
  EXPECT_GT(page["terrazzo_tick_system_calls_sum"], 0);
  EXPECT_LE(page["terrazzo_tick_system_calls_sum"], page["terrazzo_loop_system_calls_total"]);
}

TEST_F(Metrics, AnEditTakesFewSystemCalls) {
  constexpr int kMany = 100;
  WebSocketPeer painter(server_.port(), "terrazzo.v1.json");
  enter(painter);
  Page before = read_page(server_.port());
  for (int id = 1; id <= kMany; ++id) {
    ASSERT_TRUE(painter.send_text(edit(id, id % 64)));
    ASSERT_TRUE(painter.read_until(R"("type":"ack")"));
  }
  Page after = read_page(server_.port());
  const auto grown = [&](const std::string& name) { return after[name] - before[name]; };
  const double calls = grown("terrazzo_loop_system_calls_total"), rounds = grown("terrazzo_ticks_total");
  // Bytes are received, the log is written and the answer is sent; on io_uring all of that is two or three rounds.
  EXPECT_GE(calls, kMany);
  // A round waits once, and does what there is to do: with one client at work receive, send, and now and then a close.
  EXPECT_LE(calls, 2 * rounds + 4 * kMany);
  EXPECT_GE(grown("terrazzo_tick_system_calls_sum"), kMany);
}

TEST_F(Metrics, EachIsInTheOperatorsList) {
  std::ifstream file(TERRAZZO_SOURCE_DIR "/docs/operations.md");
  const std::string list{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(list.empty());
  std::istringstream lines(http(server_.port(), "GET", "/metrics").body);
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_NE(list.find("`" + name + "`"), std::string::npos) << name << " is not in docs/operations.md";
    ++found;
  }
  EXPECT_GT(found, 60);
}

}  // namespace
}  // namespace terrazzo::integration

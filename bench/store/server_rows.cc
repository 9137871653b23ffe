#include "bench/store/server_rows.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/store/peer.h"
#include "bench/store/progress.h"
#include "bench/store/timing.h"
#include "loadtest/own_server.h"
#include "terrazzo/client.h"

namespace terrazzo::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kShardCells = 8192;

std::unique_ptr<loadtest::OwnServer> start() {
  auto server = loadtest::OwnServer::start("", {});
  if (!server) give_up(server.error().message);
  if (Status made = (*server)->make_world("bench"); !made) give_up(made.error().message);
  return *std::move(server);
}

std::string request(const loadtest::OwnServer& server, const std::string& method, const std::string& target,
                    const std::string& body = {}) {
  Result<std::string> answer = loadtest::http_request(server.port(), method, target, body);
  if (!answer) give_up(answer.error().message);
  return *std::move(answer);
}

// Of all cores together.
double metric(const std::string& page, const std::string& name) {
  std::istringstream lines(page);
  double sum = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "{") || line.starts_with(name + " "))
      sum += std::stod(line.substr(line.rfind(' ') + 1));
  return sum;
}

// A cell in each shard, so that all of them are there and open.
void paint_every_shard(const loadtest::OwnServer& server, int side) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(server.port());
  options.name = "bench";
  client::Client client(options);
  Status live = client.connect();
  if (live) live = client.open("bench");
  if (live) live = client.wait_live(30s);
  if (!live) give_up(live.error().message);
  const auto shards = static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side);
  ProgressBar bar("painting every shard", shards);
  for (std::uint64_t i = 0; i < shards; ++i) {
    client::EditDraft draft;
    const auto x = static_cast<std::int64_t>(i) % side, y = static_cast<std::int64_t>(i) / side;
    draft.fill(1, map::Rect::of_size(x * kShardCells + 100, y * kShardCells + 100, 1, 1), map::Cell{7});
    if (const auto sent = client.edit(draft); !sent) give_up(sent.error().message);
    if (!client.wait_until([&] { return client.edits_waiting() < 16; }, 60s)) give_up("edits are not answered");
    bar.at(i + 1);
  }
  if (!client.wait_durable(60s)) give_up("edits do not become durable");
}

}  // namespace

void measure_answers_per_sync(Results& results, double seconds) {
  const auto server = start();
  const std::filesystem::path load = std::filesystem::canonical("/proc/self/exe").parent_path() / "terrazzo-load";
  const std::string command =
      fmt::format("{} --server {} --world bench --clients 256 --rate 40 --seconds {} > /dev/null 2>&1", load.string(),
                  server->url(), seconds);
  if (std::system(command.c_str()) != 0) give_up("terrazzo-load failed: " + command);
  const std::string page = request(*server, "GET", "/metrics");
  const double records = metric(page, "terrazzo_log_group_records_sum");
  const double groups = metric(page, "terrazzo_log_group_records_count");
  results.add("256 clients, 40 edits/s each: edits in a sync", records / groups, "");
  Goal goal{"P4", "256 clients: durable edits in one sync of the log", records / groups};
  goal.goal = "≥ 50";
  goal.met = records / groups >= 50;
  goal.limit = "how many wait while one sync is under way";
  results.goal(std::move(goal));
}

void measure_versions_over_http(Results& results, int side) {
  const auto server = start();
  paint_every_shard(*server, side);
  std::vector<double> versions, bare;
  for (int i = 0; i < 50; ++i) {
    bare.push_back(time_of([&] { request(*server, "GET", "/v1/worlds/bench"); }));
    const std::string body = fmt::format(R"({{"name":"v{}"}})", i);
    versions.push_back(time_of([&] { request(*server, "POST", "/v1/worlds/bench/versions", body); }));
  }
  const double version = quantile(versions, 0.5) / 1e6;
  results.add(fmt::format("{} shards: a version over HTTP until it is on disk, p50", side * side), version, "ms");
  results.add("  the slowest of 50", quantile(versions, 1) / 1e6, "ms");
  results.add("  a bare GET of the world, p50", quantile(bare, 0.5) / 1e6, "ms");
  Goal goal{"P6", fmt::format("version of {} shards over HTTP, on disk, p50 of 50", side * side), version, "ms"};
  goal.yardstick = "bare GET";
  goal.yardstick_value = quantile(bare, 0.5) / 1e6;
  goal.ratio = goal.measured / goal.yardstick_value;
  goal.goal = "< 10 ms";
  goal.met = version < 10;
  goal.limit = "syncs: the log of each core, then the list of versions and its folder";
  results.goal(std::move(goal));
}

}  // namespace terrazzo::bench

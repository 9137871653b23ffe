// Merging a branch that differs in one per cent of a map, on a server of this program's own, while somebody paints.
// What the rows are is in bench/README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "loadtest/own_server.h"
#include "terrazzo/client.h"

namespace terrazzo::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr map::LayerId kLayer = 1;
constexpr std::uint32_t kTiles = 50;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "terrazzo-merge-bench: {}\n", why);
  std::exit(1);
}

double ms_since(Clock::time_point before) {
  return std::chrono::duration<double, std::milli>(Clock::now() - before).count();
}

std::unique_ptr<client::Client> enter(const loadtest::OwnServer& server, const std::string& world) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(server.port());
  options.name = "bench";
  auto client = std::make_unique<client::Client>(options);
  Status live = client->connect();
  if (live) live = client->open(world);
  if (live) live = client->wait_live(30s);
  if (!live) give_up(live.error().message);
  return client;
}

// Edits, never more than a few on their way.
class Painter {
 public:
  explicit Painter(std::unique_ptr<client::Client> client) : client_(std::move(client)) {}
  void paint(const client::EditDraft& draft) {
    if (!client_->wait_until([&] { return client_->edits_waiting() < 16; }, 60s)) give_up("edits are not answered");
    if (const auto sent = client_->edit(draft); !sent) give_up(sent.error().message);
  }
  void finish() {
    if (!client_->wait_durable(60s)) give_up("edits do not become durable");
  }

 private:
  std::unique_ptr<client::Client> client_;
};

struct Options {
  std::int64_t side = 10'000;
  std::string only;
};

// One per cent of the map: squares of a hundred by a hundred cells, all different.
void paint_squares(Painter& painter, std::int64_t side, std::uint64_t seed) {
  constexpr std::int64_t kSide = 100;
  std::mt19937_64 random(seed);
  std::vector<map::Cell> cells(kSide * kSide);
  for (std::int64_t i = 0; i < side * side / 100 / (kSide * kSide); ++i) {
    for (map::Cell& cell : cells) cell.bits = static_cast<std::uint32_t>(1 + random() % kTiles);
    const auto at = [&] { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(side - kSide)); };
    const std::int64_t x = at(), y = at();
    painter.paint(client::EditDraft().set(kLayer, map::Rect::of_size(x, y, kSide, kSide), cells));
  }
  painter.finish();
}

// As many single cells anywhere: some ten in every chunk.
void paint_cells(Painter& painter, std::int64_t side, std::uint64_t seed) {
  constexpr int kInEdit = 250;
  std::mt19937_64 random(seed);
  for (std::int64_t i = 0; i < side * side / 100 / kInEdit; ++i) {
    client::EditDraft draft;
    for (int n = 0; n < kInEdit; ++n) {
      const auto at = [&] { return static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(side)); };
      const std::int32_t x = at(), y = at();
      draft.set(kLayer, {x, y}, map::Cell{static_cast<std::uint32_t>(2 + random() % (kTiles - 1))});
    }
    painter.paint(draft);
  }
  painter.finish();
}

// Somebody who paints a cell after the other beside all that; how long each takes to be durable.
class Bystander {
 public:
  explicit Bystander(const loadtest::OwnServer& server) : client_(enter(server, "w")), thread_([this] { run(); }) {}
  double worst_ms() {
    done_ = true;
    thread_.join();
    return worst_;
  }

 private:
  void run() {
    for (std::uint32_t i = 0; !done_; ++i) {
      const auto before = Clock::now();
      const auto sent = client_->edit(client::EditDraft().set(kLayer, {-5, -5}, map::Cell{1 + i % kTiles}));
      if (!sent || !client_->wait_durable(60s)) give_up("the bystander's edits are not answered");
      worst_ = std::max(worst_, ms_since(before));
    }
  }

  std::unique_ptr<client::Client> client_;
  double worst_ = 0;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

nlohmann::json merge(const loadtest::OwnServer& server, const nlohmann::json& wish, const char* row) {
  Bystander bystander(server);
  const auto before = Clock::now();
  const auto answer = loadtest::http_request(server.port(), "POST", "/v1/worlds/w/branches/b/merge", wish.dump());
  const double took = ms_since(before);
  const double worst = bystander.worst_ms();
  if (!answer) give_up(answer.error().message);
  nlohmann::json parsed = nlohmann::json::parse(*answer);
  fmt::print("  {:<28} {:>8.1f} ms   {:>9} cells, {:>7} conflicts; a bystander's edit at most {:.1f} ms\n", row, took,
             parsed["cells"].get<std::uint64_t>(), parsed["conflicts"].get<std::uint64_t>(), worst);
  return parsed;
}

void undo(const loadtest::OwnServer& server) {
  const auto client = enter(server, "w");
  const auto before = Clock::now();
  bool done = false;
  const auto id = client->undo(
      {}, {}, [&](const client::Event& event) { done = done || std::holds_alternative<client::UndoDone>(event); });
  if (!id) give_up(id.error().message);
  if (!client->wait_until([&] { return done; }, 60s)) give_up("the merge is not undone");
  fmt::print("  {:<28} {:>8.1f} ms\n", "undo of it", ms_since(before));
}

void measure(const Options& options, const char* what, void (*change)(Painter&, std::int64_t, std::uint64_t)) {
  fmt::print("{}\n", what);
  auto started = loadtest::OwnServer::start("", {"--cells-per-second", "0", "--edits-per-second", "0",
                                                 "--user-cells-per-second", "0", "--user-edits-per-second", "0"});
  if (!started) give_up(started.error().message);
  const loadtest::OwnServer& server = **started;
  if (const Status made = (*started)->make_world("w"); !made) give_up(made.error().message);
  {
    Painter main(enter(server, "w"));
    main.paint(client::EditDraft().fill(kLayer, map::Rect::of_size(0, 0, options.side, options.side), map::Cell{1}));
    main.finish();
    const auto made = loadtest::http_request(server.port(), "POST", "/v1/worlds/w/branches", R"({"name":"b"})");
    if (!made) give_up(made.error().message);
    Painter branch(enter(server, "w@b"));
    change(branch, options.side, 1);
    merge(server, {{"preview", true}}, "preview");
    merge(server, {{"name", "bench"}}, "merge");
    undo(server);
    // Now both have changed.
    change(branch, options.side, 2);
    change(main, options.side, 3);
  }
  merge(server, {{"preview", true}}, "preview, both changed");
  merge(server, {{"conflicts", "theirs"}, {"name", "bench"}}, "merge, conflicts theirs");
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  using namespace terrazzo::bench;
  Options options;
  CLI::App app{"terrazzo-merge-bench: merging a branch that differs in one per cent of a map, and undoing that"};
  app.add_option("--side", options.side, "of the map, in cells")
      ->check(CLI::Range(1000, 100'000))
      ->capture_default_str();
  app.add_option("--only", options.only, "squares or cells")->check(CLI::IsMember({"squares", "cells"}));
  CLI11_PARSE(app, argc, argv);
  if (options.only != "cells") measure(options, "squares of 100×100 different cells", paint_squares);
  if (options.only != "squares") measure(options, "single cells anywhere", paint_cells);
  return 0;
}

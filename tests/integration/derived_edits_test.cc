// Copies and floods on a real server, in both forms (ED-10, ED-11 of PROTOCOL.md): in one shard and over shards, undone
// in one step, done once, refused with nothing changed; and that everybody sees the same after many at once.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"
#include "typed_peer.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using map::Cell;
using map::Rect;
using nlohmann::json;

const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";
constexpr map::LayerId kLayer = kPaintedLayer;
const Rect kCorner = Rect::of_size(8192 - 20, 8192 - 20, 40, 40);  // in four shards

map::Op fill(const Rect& rect, std::uint32_t tile) {
  return {map::OpKind::fill, kLayer, rect, Cell{tile}, {}, {}};
}
map::Op copy(const Rect& rect, map::CellPos to, map::Turn turn = {}) {
  return map::copy_op(kLayer, rect, kLayer, to, turn);
}

class DerivedEdits : public testing::TestWithParam<proto::Form> {
 protected:
  DerivedEdits() { start(); }
  void start(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--cores", "2"});
    server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
    if (!there) make_world(server->port(), "w");
    there = true;
  }
  std::unique_ptr<TypedPeer> come(const std::string& resume = {}, std::uint64_t incarnation = 0) {
    auto peer = std::make_unique<TypedPeer>(server->port(), GetParam());
    peer->enter("w", {}, resume, incarnation);
    return peer;
  }
  // The answer, `ack` or `reject`.
  json edit(TypedPeer& peer, std::uint64_t id, const std::vector<map::Op>& ops,
            std::vector<map::Condition> conditions = {}) {
    peer.say(map::Edit{EditId{id}, map::AckMode::durable, ops, conditions});
    json answer;
    do {
      answer = peer.next_of({"ack", "reject"});
    } while (answer.is_object() && answer.value("id", std::uint64_t{0}) != id);
    return answer;
  }
  json undo(TypedPeer& peer, std::uint64_t id, bool redo = false) {
    peer.say(proto::Undo{EditId{id}, redo, {}, {}});
    return peer.next_of({"ack", "reject"});
  }
  std::vector<std::uint32_t> look(const Rect& rect) { return integration::look(server->port(), "w", rect); }

  TemporaryFolder folder;
  std::unique_ptr<ServerProcess> server;
  bool there = false;
};

TEST_P(DerivedEdits, ACopyBetweenShardsIsOneStep) {
  const auto ada = come();
  // 1 2 3 / 4 5 6, in the first shard and in the next.
  const std::uint32_t numbers[] = {1, 2, 3, 4, 5, 6};
  const Cell cells[] = {Cell{1}, Cell{2}, Cell{3}, Cell{4}, Cell{5}, Cell{6}};
  const Rect source = Rect::of_size(8190, 100, 3, 2);
  ASSERT_EQ(edit(*ada, 1, {{map::OpKind::set, kLayer, source, {}, {}, cells}})["type"], "ack");
  const json answer = edit(*ada, 2, {copy(source, {20000, 20000}, map::Turn::of(map::Flip::none, 1))});
  ASSERT_EQ(answer["type"], "ack") << answer.dump();
  EXPECT_EQ(answer["shards"], (json{{2, 2, 1}}));  // only where it was written
  EXPECT_EQ(answer["durable"], true);
  constexpr std::uint32_t kTurned = Cell::kFlipHorizontal | Cell::kFlipDiagonal;
  const Rect target = Rect::of_size(20000, 20000, 2, 3);
  const std::vector<std::uint32_t> expected{4 | kTurned, 1 | kTurned, 5 | kTurned,
                                            2 | kTurned, 6 | kTurned, 3 | kTurned};
  EXPECT_EQ(look(target), expected);
  // Undo knows nothing of where it came from.
  ASSERT_EQ(edit(*ada, 3, {fill(source, 9)})["type"], "ack");
  EXPECT_EQ(undo(*ada, 4)["undone"]["edit"], 3);
  EXPECT_EQ(look(source), std::vector<std::uint32_t>(std::begin(numbers), std::end(numbers)));
  const json undone = undo(*ada, 5);
  EXPECT_EQ(undone["undone"]["edit"], 2) << undone.dump();
  EXPECT_EQ(undone["undone"]["restored"], 6);
  EXPECT_EQ(look(target), std::vector<std::uint32_t>(6, 0));
  EXPECT_EQ(undo(*ada, 6, true)["undone"]["edit"], 2);
  EXPECT_EQ(look(target), expected);
}

TEST_P(DerivedEdits, AFloodOverShardsStopsAtWallsAndIsOneStep) {
  const auto ada = come();
  // A ring around the corner of four shards, with a gap to the left.
  ASSERT_EQ(edit(*ada, 1,
                 {fill(kCorner, 5), fill({kCorner.x0 + 1, kCorner.y0 + 1, kCorner.x1 - 1, kCorner.y1 - 1}, 0),
                  fill(Rect::of_size(kCorner.x0, 8192, 1, 1), 0)})["type"],
            "ack");
  const Rect bounds{kCorner.x0 - 2, kCorner.y0 - 2, kCorner.x1 + 2, kCorner.y1 + 2};
  const std::vector<std::uint32_t> before = look(bounds);
  const json answer = edit(*ada, 2, {map::flood_op(kLayer, {8192, 8192}, Cell{7}, kCorner)});
  ASSERT_EQ(answer["type"], "ack") << answer.dump();
  EXPECT_EQ(answer["shards"].size(), 4u);
  std::vector<std::uint32_t> expected = before;
  for (std::int64_t y = kCorner.y0; y < kCorner.y1; ++y)
    for (std::int64_t x = kCorner.x0; x < kCorner.x1; ++x) {
      std::uint32_t& cell = expected[static_cast<std::size_t>((y - bounds.y0) * bounds.width() + x - bounds.x0)];
      if (cell == 0) cell = 7;
    }
  EXPECT_EQ(look(bounds), expected);  // not through the gap: there the bounds end
  const json undone = undo(*ada, 3);
  EXPECT_EQ(undone["undone"]["edit"], 2) << undone.dump();
  EXPECT_EQ(undone["undone"]["restored"], 38 * 38 + 1);
  EXPECT_EQ(look(bounds), before);
}

TEST_P(DerivedEdits, SentAgainTheyAreDoneOnce) {  // ED-7
  auto ada = come();
  const Rect left = Rect::of_size(8182, 0, 10, 4), right = Rect::of_size(8192, 0, 10, 4);
  ASSERT_EQ(edit(*ada, 1, {fill(left, 5)})["type"], "ack");
  const json first = edit(*ada, 2, {copy(left, {8192, 0})});
  const json flood = edit(*ada, 3, {map::flood_op(kLayer, {8190, 20}, Cell{7}, Rect::of_size(8182, 20, 20, 4))});
  ASSERT_EQ(first["type"], "ack");
  ASSERT_EQ(flood["type"], "ack");
  ASSERT_EQ(edit(*ada, 4, {fill(left, 6), fill(Rect::of_size(8182, 20, 20, 2), 0)})["type"], "ack");
  const auto expect_once = [&] {
    EXPECT_EQ(edit(*ada, 2, {copy(left, {8192, 0})})["type"], "ack");
    EXPECT_EQ(edit(*ada, 3, {map::flood_op(kLayer, {8190, 20}, Cell{7}, Rect::of_size(8182, 20, 20, 4))})["type"],
              "ack");
    EXPECT_EQ(look(right), std::vector<std::uint32_t>(40, 5));
    EXPECT_EQ(look(Rect::of_size(8182, 20, 20, 2)), std::vector<std::uint32_t>(40, 0));
  };
  expect_once();
  const std::string resume = ada->resume();
  const std::uint64_t incarnation = ada->incarnation();
  server->kill();
  start();
  ada = come(resume, incarnation);
  expect_once();
}

TEST_P(DerivedEdits, WhatIsRefusedChangesNothing) {
  const auto ada = come(), bob = come();
  ASSERT_EQ(edit(*ada, 1, {fill(kCorner, 5)})["type"], "ack");
  const std::vector<std::uint32_t> before = look(kCorner);
  std::uint64_t id = 1;
  const auto expect_refused = [&](const char* code, const std::vector<map::Op>& ops, const std::string& says,
                                  std::vector<map::Condition> conditions = {}) {
    const json answer = edit(*ada, ++id, ops, std::move(conditions));
    EXPECT_EQ(answer["type"], "reject") << answer.dump();
    EXPECT_EQ(answer.value("code", ""), code) << answer.dump();
    EXPECT_NE(answer.value("message", "").find(says), std::string::npos) << answer.dump();
  };
  expect_refused("too_large", {copy(Rect::of_size(0, 0, 600, 600), {9000, 0})}, "262144");
  expect_refused("too_large", {map::flood_op(kLayer, {8192, 8192}, Cell{1}, Rect::of_size(8000, 8000, 600, 600))},
                 "262144");
  expect_refused("unsupported", {copy(kCorner, {0, 0}), fill(Rect::of_size(0, 0, 1, 1), 1)}, "an edit of its own");
  expect_refused("unsupported", {copy(kCorner, {0, 0})}, "without other ops and conditions",
                 {{kLayer, Rect::of_size(0, 0, 1, 1), {}, {}}});
  expect_refused("not_found", {map::copy_op(99, kCorner, kLayer, {0, 0}, {})}, "there is no layer 99");
  expect_refused("condition_failed", {copy(Rect::of_size(10, 10, 5, 5), {0, 0})}, "condition 0",
                 {{kLayer, Rect::of_size(0, 0, 1, 1), Cell{3}, {}}});
  // A claim refuses what writes into it, and nothing else.
  bob->say(proto::Claim{ClaimId{1}, Rect::of_size(8192, 8192, 4, 4), {}, 600'000});
  bob->next("claimed");
  expect_refused("claimed", {map::flood_op(kLayer, {8190, 8190}, Cell{1}, kCorner)}, "has claimed");
  expect_refused("claimed", {copy(Rect::of_size(8180, 0, 20, 20), {8190, 8190})}, "has claimed");
  EXPECT_EQ(look(kCorner), before);
  EXPECT_EQ(edit(*ada, ++id, {copy(kCorner, {30000, 30000})})["type"], "ack");  // reading is free
}

INSTANTIATE_TEST_SUITE_P(Forms, DerivedEdits, testing::Values(proto::Form::binary, proto::Form::json),
                         [](const auto& form) { return form.param == proto::Form::json ? "Json" : "Binary"; });

// What somebody sees is what the server has, whatever he had guessed.
TEST(DerivedEditsTogether, EndTheSameForEverybody) {
  const std::uint32_t seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t bound) { return static_cast<std::int64_t>(random() % bound); };
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data", {"--cores", "2"});
  make_world(server.port(), "w");
  client::Reactor reactor;
  std::vector<std::unique_ptr<client::Client>> people;
  for (int i = 0; i < 4; ++i) {
    people.push_back(enter(server.port(), "w", &reactor, i % 2 == 0 ? proto::Form::binary : proto::Form::json));
    const auto view = people.back()->subscribe(kCorner);
    ASSERT_TRUE(view.ok());
    ASSERT_TRUE(people.back()->wait_until([&] { return people.back()->is_ready(*view); }, 10s));
  }
  const auto some_rect = [&](std::uint32_t most) {
    const std::int64_t w = 1 + below(most), h = 1 + below(most);
    return Rect::of_size(kCorner.x0 + below(static_cast<std::uint32_t>(40 - w + 1)),
                         kCorner.y0 + below(static_cast<std::uint32_t>(40 - h + 1)), w, h);
  };
  const auto corner_of = [](const Rect& rect) {
    return map::CellPos{static_cast<std::int32_t>(rect.x0), static_cast<std::int32_t>(rect.y0)};
  };
  std::size_t undone = 0;
  for (int step = 0; step < 400; ++step) {
    client::Client& person = *people[random() % people.size()];
    const std::int64_t kind = below(10);
    client::EditDraft draft;
    if (kind < 3) {
      draft.fill(kLayer, some_rect(12), Cell{static_cast<std::uint32_t>(below(4))});
    } else if (kind < 6) {
      const Rect source = some_rect(15);
      const map::Turn turn = map::Turn::of(static_cast<map::Flip>(below(4)), static_cast<unsigned>(below(4)));
      draft.copy(kLayer, source, kLayer, corner_of(some_rect(20)), turn);
    } else if (kind < 9) {
      const Rect bounds = some_rect(40);
      draft.flood(kLayer, corner_of(bounds), Cell{static_cast<std::uint32_t>(below(4))}, bounds);
    } else {
      undone += person.undo().ok() ? 1u : 0u;
      continue;
    }
    ASSERT_TRUE(person.edit(draft).ok());
    if (below(4) == 0) reactor.run_once(5ms);
  }
  EXPECT_GT(undone, 10u);
  for (const auto& person : people) {
    ASSERT_TRUE(person->wait_durable(60s));
    // What others did before has come when a later edit of one's own has.
    ASSERT_TRUE(
        person->edit(client::EditDraft().fill(kLayer, kCorner.intersect({8192, 8192, 8193, 8193}), Cell{1})).ok());
    ASSERT_TRUE(person->wait_durable(60s));
  }
  const std::vector<std::uint32_t> truth = look(server.port(), "w", kCorner);
  for (const auto& person : people) {
    for (const client::View view : {client::View::confirmed, client::View::optimistic}) {
      std::vector<Cell> cells(kCorner.area());
      const auto same = [&] {
        EXPECT_TRUE(person->read_rect(kLayer, kCorner, cells, view));
        return std::ranges::equal(cells, truth, {}, &Cell::bits);
      };
      EXPECT_TRUE(person->wait_until(same, 10s));
    }
  }
}

TEST(DerivedEditsCommands, TeachAndDo) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data", {"--cores", "2"});
  make_world(server.port(), "w");
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--server", server.http_url()});
    const Ran ran = run_program(kCli, arguments);
    EXPECT_EQ(ran.exit_code, 0) << arguments[0] << ": " << ran.output;
    return ran.output;
  };
  run({"paint", "w", "--rect", "0,0,4,2", "--tile", "5"});
  run({"copy", "w", "--rect", "0,0,4,2", "--to", "8191,8191", "--turns", "1"});
  EXPECT_EQ(look(server.port(), "w", Rect::of_size(8191, 8191, 2, 4)),
            std::vector<std::uint32_t>(8, 5 | Cell::kFlipHorizontal | Cell::kFlipDiagonal));
  EXPECT_NE(run({"flood", "w", "--at", "2,1", "--tile", "7", "--rect", "0,0,100,100"}).find("tile 7"),
            std::string::npos);
  EXPECT_EQ(look(server.port(), "w", Rect::of_size(0, 0, 4, 2)), std::vector<std::uint32_t>(8, 7));
  run({"line", "w", "--from", "-5,10", "--to", "5,10", "--tile", "3"});
  EXPECT_EQ(look(server.port(), "w", Rect::of_size(-5, 10, 11, 1)), std::vector<std::uint32_t>(11, 3));
  const std::string file = (folder.path() / "pattern.csv").string();
  std::FILE* const out = std::fopen(file.c_str(), "w");
  std::fputs("1, 0,2\n\n4\n", out);
  std::fclose(out);
  run({"stamp", "w", file, "--at", "-5,10"});
  EXPECT_EQ(look(server.port(), "w", Rect::of_size(-5, 10, 3, 2)), (std::vector<std::uint32_t>{1, 3, 2, 4, 0, 0}));
  const Ran far =
      run_program(kCli, {"copy", "w", "--rect", "0,0,1000,1000", "--to", "0,0", "--server", server.http_url()});
  EXPECT_EQ(far.exit_code, 1);
  EXPECT_NE(far.output.find("262144"), std::string::npos) << far.output;
  EXPECT_NE(run_program(kCli, {"stamp", "--help"}).output.find("leaving alone"), std::string::npos);
  EXPECT_NE(run_program(kCli, {"copy", "w", "--rect", "0,0,1,1", "--to", "0,0", "--flip", "up"}).exit_code, 0);
}

}  // namespace
}  // namespace terrazzo::integration

// Shards go from core to core all the time while people paint over them and their borders: replicas and server stay
// identical, viewers get every edit once and in order, versions are consistent cuts, and kill -9 loses nothing durable,
// whatever number of cores the server has afterwards.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
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

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
constexpr map::LayerId kLayer = 1;
constexpr int kCores = 3;
// Around the corner of four shards.
constexpr map::Rect kView = map::Rect::of_size(8192 - 96, 8192 - 96, 192, 192);

HttpAnswer move(std::uint16_t port, int x, int y, unsigned core) {
  return http(port, "POST", "/v1/worlds/w/shards/" + std::to_string(x) + "," + std::to_string(y) + "/move",
              R"({"core":)" + std::to_string(core) + "}");
}

// Moves the four shards around the corner at random until it is told to stop, or the server is gone.
class Mover {
 public:
  Mover(std::uint16_t port, std::uint32_t seed, unsigned cores = kCores)
      : thread_([this, port, seed, cores] {
          std::mt19937 random(seed);
          while (!stop_.load()) {
            const HttpAnswer answer = move(port, static_cast<int>(random() % 2), static_cast<int>(random() % 2),
                                           static_cast<unsigned>(random() % cores));
            if (answer.status == 0) continue;
            const json moved = json::parse(answer.body, nullptr, false);
            // A checkpoint on a slow disk may keep a shard where it is.
            if (answer.status == 503) continue;
            if (answer.status != 200 || !moved.is_object()) {
              ++failed_;
            } else if (moved["from"] != moved["core"]) {
              ++moves_;
              parked_us_ += moved["parked_us"].get<std::uint64_t>();
            }
          }
        }) {}
  ~Mover() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int moves() const { return moves_.load(); }
  int failed() const { return failed_.load(); }
  std::uint64_t parked_us() const { return parked_us_.load(); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> moves_{0}, failed_{0};
  std::atomic<std::uint64_t> parked_us_{0};
  std::thread thread_;
};

// Paints blocks of its own, some inside a shard, some over the border of two or the corner of four; every so often it
// looks away and comes back, which gives up its interest and asks for the states again.
struct Painter {
  static constexpr int kBlocks = 9, kSide = 4;

  std::unique_ptr<Client> client;
  client::SubscriptionId view;
  int number = 0;
  std::uint32_t next_value = 1;
  struct Sent {
    EditId id;
    int block;
    std::uint32_t value;
  };
  std::vector<Sent> waiting;
  std::vector<std::uint32_t> newest = std::vector<std::uint32_t>(kBlocks, 0), durable = newest;

  // Three columns and rows, the middle ones over the borders; each painter has a lane of its own. The block over the
  // corner has room for one painter.
  map::Rect block(int index) const {
    const std::int64_t column = index % 3 - 1, row = index / 3 - 1, lane = number * kSide;
    const std::int64_t x = column == 0 ? 8192 - kSide / 2 : 8192 + column * 48 + lane;
    const std::int64_t y = row == 0 ? 8192 - kSide / 2 : 8192 + row * 48 + (column == 0 ? lane : 0);
    return map::Rect::of_size(x, y, kSide, kSide);
  }
  void paint(std::mt19937& random) {
    const int index = static_cast<int>(random() % kBlocks);
    if (index == 4 && number != 0) return;
    client::EditDraft draft;
    draft.fill(kLayer, block(index), map::Cell{next_value});
    const Result<EditId> id = client->edit(draft);
    ASSERT_TRUE(id.ok()) << id.error().message;
    waiting.push_back({*id, index, next_value});
    newest[static_cast<std::size_t>(index)] = next_value++;
  }
  void notice() {
    std::erase_if(waiting, [&](const Sent& sent) {
      EXPECT_FALSE(client->rejection(sent.id)) << client->rejection(sent.id)->message;
      if (!client->is_durable(sent.id)) return false;
      std::uint32_t& known = durable[static_cast<std::size_t>(sent.block)];
      known = std::max(known, sent.value);
      return true;
    });
  }
  void check(const std::vector<std::uint32_t>& cells) const {
    for (int index = 0; index < kBlocks; ++index) {
      const map::Rect rect = block(index);
      if (index == 4 && number != 0) continue;
      const auto at = [&](std::int64_t x, std::int64_t y) {
        return cells[static_cast<std::size_t>((y - kView.y0) * kView.width() + (x - kView.x0))];
      };
      const std::uint32_t value = at(rect.x0, rect.y0);
      for (std::int64_t y = rect.y0; y < rect.y1; ++y)
        for (std::int64_t x = rect.x0; x < rect.x1; ++x)
          ASSERT_EQ(at(x, y), value) << "block " << index << " of painter " << number << " is torn";
      ASSERT_GE(value, durable[static_cast<std::size_t>(index)]) << "painter " << number << " lost a durable edit";
      ASSERT_LE(value, newest[static_cast<std::size_t>(index)]);
    }
  }
};

// A peer that knows nothing of the library reads every message as it comes: of each shard every edit comes once, and in
// order.
class Witness {
 public:
  explicit Witness(std::uint16_t port) : peer_(port, "terrazzo.v1.json") {
    peer_.send_text(R"({"type":"hello","version":1})");
    peer_.send_text(R"({"type":"open","world":"w"})");
    peer_.send_text(R"({"type":"subscribe","sub":1,"rect":[)" + std::to_string(kView.x0) + "," +
                    std::to_string(kView.y0) + "," + std::to_string(kView.width()) + "," +
                    std::to_string(kView.height()) + "]}");
  }
  // Up to the message that contains the text; counts edits.
  void read_until(const std::string& text, std::uint64_t& seen) {
    while (const std::optional<std::string> message = peer_.read()) {
      const json parsed = json::parse(*message, nullptr, false);
      for (const json& one : parsed.is_array() ? parsed : json::array({parsed})) take(one, seen);
      if (message->find(text) != std::string::npos) return;
    }
    ADD_FAILURE() << "the connection was closed: " << peer_.close_reason();
  }
  bool send(const std::string& text) { return peer_.send_text(text); }

 private:
  void take(const json& message, std::uint64_t& seen) {
    if (!message.is_object() || message.value("type", "") != "applied") return;
    ++seen;
    const std::pair<int, int> shard{message["shard"][0].get<int>(), message["shard"][1].get<int>()};
    const json& lsn = message["lsn"];
    const std::uint64_t number = lsn.is_string() ? std::stoull(lsn.get<std::string>()) : lsn.get<std::uint64_t>();
    EXPECT_GT(number, newest_[shard]) << "shard " << shard.first << "," << shard.second;
    newest_[shard] = number;
  }
  WebSocketPeer peer_;
  std::map<std::pair<int, int>, std::uint64_t> newest_;
};

class Moves : public testing::Test {
 protected:
  Moves() {
    seed_ = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    if (const char* wanted = std::getenv("TERRAZZO_SEED")) seed_ = static_cast<std::uint32_t>(std::atoll(wanted));
    RecordProperty("seed", std::to_string(seed_));
    random_.seed(seed_);
    start(kCores, 0);
    make_world(server_->port(), "w", 1u << 20);
  }
  void start(unsigned cores, std::uint16_t port) {
    server_ = std::make_unique<ServerProcess>(
        folder_.path() / "data",
        std::vector<std::string>{"--cores", std::to_string(cores), "--segment-mib", "1", "--memory-mib", "1"}, port);
    ASSERT_TRUE(server_->running()) << server_->log();
  }
  void add_painters(int count) {
    for (int number = 0; number < count; ++number) {
      Painter painter;
      painter.number = number;
      painter.client = enter(server_->port(), "w", &reactor_, number % 2 == 0 ? proto::Form::binary : proto::Form::json,
                             static_cast<std::uint64_t>(number) + 1);
      painter.view = *painter.client->subscribe(kView);
      painters_.push_back(std::move(painter));
    }
  }
  void paint_once() {
    for (Painter& painter : painters_) {
      if (painter.waiting.size() < 32) painter.paint(random_);
      painter.notice();
    }
    if (random_() % 50 == 0) {
      Painter& somebody = painters_[random_() % painters_.size()];
      somebody.client->unsubscribe(somebody.view);
      somebody.view = *somebody.client->subscribe(kView);
    }
    reactor_.run_once(1ms);
  }
  // Everything arrives, and all see the same.
  void settle() {
    for (Painter& painter : painters_) {
      ASSERT_TRUE(painter.client->wait_durable(60s)) << painter.client->edits_waiting() << " edits wait";
      painter.notice();
      EXPECT_EQ(painter.durable, painter.newest);
    }
    const std::vector<std::uint32_t> truth = look(server_->port(), "w", kView);
    for (Painter& painter : painters_) {
      painter.check(truth);
      EXPECT_TRUE(painter.client->wait_until([&] { return cells_of(*painter.client, kView) == truth; }, 30s))
          << "painter " << painter.number << " sees something else";
    }
  }
  void verify() {
    const Ran verified = run_program(kServer, {"verify", (folder_.path() / "data").string()});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
  }

  std::uint32_t seed_ = 0;
  std::mt19937 random_;
  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  client::Reactor reactor_;
  std::vector<Painter> painters_;
};

TEST_F(Moves, EverybodySeesTheSameWhileShardsMove) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  add_painters(4);
  Witness witness(server_->port());
  std::uint64_t seen = 0;
  witness.read_until("\"subscribed\"", seen);
  std::thread reads([&] { witness.read_until("\"pong\"", seen); });
  Mover mover(server_->port(), seed_);
  while (mover.moves() < 150 && !HasFatalFailure()) paint_once();
  mover.stop();
  EXPECT_EQ(mover.failed(), 0);
  settle();
  EXPECT_TRUE(witness.send(R"({"type":"ping","t":1})"));
  reads.join();
  EXPECT_GT(seen, 0u);
  RecordProperty("moves", mover.moves());
  RecordProperty("parked_us_each", std::to_string(mover.parked_us() / static_cast<std::uint64_t>(mover.moves())));
  EXPECT_EQ(server_->terminate(), 0) << server_->log();
  verify();
  const std::uint16_t port = server_->port();
  const std::vector<std::uint32_t> before = cells_of(*painters_[0].client, kView);
  start(2, port);
  EXPECT_EQ(look(port, "w", kView), before);
}

TEST_F(Moves, KillsAtAnyMomentLoseNothingAndTheNumberOfCoresMayChange) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  add_painters(3);
  const std::uint16_t port = server_->port();
  for (const unsigned cores : {2u, 5u, 1u, 4u, 3u}) {
    {
      const unsigned now = cores == 2 ? kCores : cores == 5 ? 2 : cores == 1 ? 5 : cores == 4 ? 1 : 4;
      Mover mover(port, static_cast<std::uint32_t>(random_()), now);
      const int moves = now == 1 ? 0 : 5 + static_cast<int>(random_() % 20);
      while (mover.moves() < moves && !HasFatalFailure()) paint_once();
      server_->kill();
    }
    for (Painter& painter : painters_) painter.notice();
    start(cores, port);
    ASSERT_FALSE(HasFatalFailure());
    const std::vector<std::uint32_t> truth = look(port, "w", kView);
    for (const Painter& painter : painters_) painter.check(truth);
    ASSERT_FALSE(HasFatalFailure());
  }
  settle();
  EXPECT_EQ(server_->terminate(), 0) << server_->log();
  verify();
}

// They ask one owner after another, and a shard may change its owner meanwhile.
TEST_F(Moves, ComparisonsAndBackupsMissNoShard) {
  const auto painter = enter(server_->port());
  const auto paint = [&](std::uint32_t tile) {
    for (const auto& [x, y] : {std::pair{8000, 8000}, {8200, 8000}, {8000, 8200}, {8200, 8200}})
      ASSERT_TRUE(painter->edit(client::EditDraft().set(kLayer, {x, y}, map::Cell{tile})).ok());
    ASSERT_TRUE(painter->wait_durable(30s));
  };
  paint(1);
  ASSERT_EQ(http(server_->port(), "POST", "/v1/worlds/w/versions", R"({"name":"one"})").status, 201u);
  paint(2);
  Mover mover(server_->port(), seed_);
  const int compared_from = mover.moves();
  for (int i = 0; i < 20 || mover.moves() < compared_from + 20; ++i) {
    const HttpAnswer diff = http(server_->port(), "GET", "/v1/worlds/w/versions/one/diff/now");
    ASSERT_EQ(diff.status, 200u) << diff.body;
    ASSERT_EQ(json::parse(diff.body)["chunks"], 4) << diff.body;
  }
  ASSERT_EQ(http(server_->port(), "POST", "/v1/backups", R"({"name":"b"})").status, 202u);
  const auto state = [&] { return json::parse(http(server_->port(), "GET", "/v1/backups").body); };
  while (state()["running"] == true) std::this_thread::yield();
  EXPECT_EQ(state()["problem"], "");
  mover.stop();
  server_->kill();
  const std::string restored = (folder_.path() / "restored").string();
  const Ran ran = run_program(kServer, {"restore", (folder_.path() / "data/backups/b").string(), restored});
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  const ServerProcess server(restored, {"--cores", "2"});
  for (const std::uint32_t cell : {look(server.port(), "w", map::Rect::of_size(8000, 8000, 1, 1))[0],
                                   look(server.port(), "w", map::Rect::of_size(8200, 8000, 1, 1))[0],
                                   look(server.port(), "w", map::Rect::of_size(8000, 8200, 1, 1))[0],
                                   look(server.port(), "w", map::Rect::of_size(8200, 8200, 1, 1))[0]})
    EXPECT_EQ(cell, 2u);
}

TEST_F(Moves, AreRefusedWithTheReason) {
  EXPECT_EQ(move(server_->port(), 0, 0, kCores).status, 404u);
  EXPECT_NE(move(server_->port(), 0, 0, kCores).body.find("cores 0 to 2"), std::string::npos);
  const auto post = [&](const std::string& target, const std::string& body) {
    return http(server_->port(), "POST", "/v1/worlds/" + target, body).status;
  };
  EXPECT_EQ(post("w/shards/0,0/move", "{}"), 400u);
  EXPECT_EQ(post("w/shards/0,0/move", R"({"core":-1})"), 400u);
  EXPECT_EQ(post("w/shards/0/move", R"({"core":1})"), 404u);
  EXPECT_EQ(post("w/shards/0,0/eat", R"({"core":1})"), 404u);
  EXPECT_EQ(post("nowhere/shards/0,0/move", R"({"core":1})"), 404u);
  EXPECT_EQ(http(server_->port(), "GET", "/v1/worlds/w/shards/0,0/move").status, 405u);
  make_world(server_->port(), "small", 50, "[0,0,100,100]");
  EXPECT_EQ(post("small/shards/1,0/move", R"({"core":1})"), 404u);
  for (unsigned core = 0; core < kCores; ++core)
    EXPECT_EQ(post("small/shards/0,0/move", R"({"core":)" + std::to_string(core) + "}"), 200u);
}

}  // namespace
}  // namespace terrazzo::integration

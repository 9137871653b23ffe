#include "server/runtime/mesh.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/runtime/affinity.h"
#include "server/runtime/clock.h"
#include "tests/runtime/loop_kinds.h"

namespace terrazzo::runtime {
namespace {

struct Cores {
  Cores(LoopKind kind, int count) {
    for (int i = 0; i < count; ++i) {
      loops.push_back(make_loop(kind));
      raw.push_back(loops.back().get());
    }
  }
  bool there() const { return raw.front() != nullptr; }
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<EventLoop*> raw;
};

MeshMessage numbered(std::uint64_t number) {
  MeshMessage message;
  for (std::uint64_t& word : message.words) word = number;
  return message;
}

std::vector<std::uint64_t> drained(Mesh& mesh, int to) {
  std::vector<std::uint64_t> numbers;
  mesh.drain(to, [&](const MeshMessage& message) { numbers.push_back(message.words[6]); });
  return numbers;
}

class MeshTest : public testing::TestWithParam<LoopKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, MeshTest, testing::Values(LoopKind::ring, LoopKind::old_ring, LoopKind::epoll),
                         [](const auto& each) { return name_of(each.param); });

TEST_P(MeshTest, KeepsOrderThroughTheOverflow) {
  Cores cores(GetParam(), 2);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, 4);
  for (std::uint64_t i = 0; i < 10; ++i) mesh.post(0, 1, numbered(i));
  EXPECT_EQ(mesh.backlog(0, 1), 6u);
  EXPECT_TRUE(mesh.has_backlog(0));
  EXPECT_FALSE(mesh.has_backlog(1));
  EXPECT_EQ(drained(mesh, 1), (std::vector<std::uint64_t>{0, 1, 2, 3}));
  mesh.post(0, 1, numbered(10));  // there is room in the ring, but it may not overtake
  mesh.flush(0);
  EXPECT_EQ(mesh.backlog(0, 1), 3u);
  EXPECT_EQ(drained(mesh, 1), (std::vector<std::uint64_t>{4, 5, 6, 7}));
  mesh.flush(0);
  EXPECT_EQ(drained(mesh, 1), (std::vector<std::uint64_t>{8, 9, 10}));
  EXPECT_FALSE(mesh.has_backlog(0));
  EXPECT_TRUE(mesh.empty(1));
}

TEST_P(MeshTest, SaysThatACoreIsBehindUntilItHasCaughtUp) {
  Cores cores(GetParam(), 3);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, 4, 3);
  for (std::uint64_t i = 0; i < 6; ++i) mesh.post(0, 2, numbered(i));
  EXPECT_FALSE(mesh.is_behind(0));
  mesh.post(0, 2, numbered(6));
  EXPECT_TRUE(mesh.is_behind(0));
  EXPECT_FALSE(mesh.is_behind(1));  // which posted nothing to it
  drained(mesh, 2);
  EXPECT_TRUE(mesh.is_behind(0));  // until what waits has been handed over
  mesh.flush(0);
  EXPECT_FALSE(mesh.is_behind(0));
}

TEST_P(MeshTest, DrainTakesFromEveryOtherCore) {
  Cores cores(GetParam(), 3);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, 4);
  mesh.post(0, 1, numbered(7));
  mesh.post(2, 1, numbered(8));
  mesh.post(0, 2, numbered(9));
  EXPECT_EQ(mesh.drain(0, [](const MeshMessage&) {}), 0u);
  EXPECT_EQ(drained(mesh, 1), (std::vector<std::uint64_t>{7, 8}));
  EXPECT_EQ(drained(mesh, 2), (std::vector<std::uint64_t>{9}));
}

TEST_P(MeshTest, RefusesSleepWhileMessagesAreThere) {
  Cores cores(GetParam(), 2);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, 4);
  EXPECT_TRUE(mesh.about_to_sleep(1));
  mesh.awake(1);
  mesh.post(0, 1, numbered(1));
  EXPECT_FALSE(mesh.about_to_sleep(1));
  mesh.awake(1);
  drained(mesh, 1);
  EXPECT_TRUE(mesh.about_to_sleep(1));
}

// The wait is as long as the test may take at all: only the wake-up ends it.
TEST_P(MeshTest, FlushWakesACoreThatSleeps) {
  Cores cores(GetParam(), 2);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, 4);
  std::atomic<bool> about{false};
  std::vector<std::uint64_t> got;
  std::thread sleeper([&] {
    while (got.empty()) {
      const bool sleeps = mesh.about_to_sleep(1);
      about.store(true);
      cores.loops[1]->submit_and_wait(sleeps ? 100 * kNsPerSecond : 0);
      mesh.awake(1);
      got = drained(mesh, 1);
    }
  });
  while (!about.load()) std::this_thread::yield();
  mesh.post(0, 1, numbered(5));
  mesh.flush(0);
  sleeper.join();
  EXPECT_EQ(got, (std::vector<std::uint64_t>{5}));
}

// One core of a pass-the-parcel: every token is sent on at once to a core chosen by chance until its hops are used up,
// so that most of the time most cores sleep. The only thing that ends a wait is a wake-up: a lost one leaves a token
// lying until the timeout, which no wait may reach.
struct Player {
  static constexpr std::uint64_t kWaitNs = 20 * kNsPerSecond;

  Mesh& mesh;
  EventLoop& loop;
  int self, cores;
  std::atomic<int>& tokens_left;
  std::mt19937_64 chance;
  std::vector<std::uint64_t> sent, received;  // by other core: the numbers of a pair must be 0, 1, 2, …
  std::uint64_t out_of_order = 0, waits_that_timed_out = 0;

  void send(std::uint64_t hops) {
    int to = static_cast<int>(chance() % static_cast<std::uint64_t>(cores - 1));
    if (to >= self) ++to;
    MeshMessage message;
    message.small = static_cast<std::uint32_t>(self);
    message.words[0] = sent[static_cast<std::size_t>(to)]++;
    message.words[1] = hops;
    mesh.post(self, to, message);
  }

  void receive(const MeshMessage& message) {
    out_of_order += message.words[0] != received[message.small]++;
    if (message.words[1] != 0) return send(message.words[1] - 1);
    if (tokens_left.fetch_sub(1) == 1)
      for (int core = 0; core < cores; ++core) mesh.wake(core);
  }

  void play(int tokens, std::uint64_t hops) {
    for (int i = 0; i < tokens; ++i) send(hops);
    mesh.flush(self);
    while (tokens_left.load() != 0) {
      const std::uint64_t wait = mesh.has_backlog(self) ? Mesh::kBacklogWaitNs : kWaitNs;
      const bool sleeps = mesh.about_to_sleep(self);
      const std::uint64_t from = monotonic_ns();
      loop.submit_and_wait(sleeps ? wait : 0);
      waits_that_timed_out += wait == kWaitNs && monotonic_ns() - from >= kWaitNs;
      mesh.awake(self);
      mesh.drain(self, [this](const MeshMessage& message) { receive(message); });
      mesh.flush(self);
    }
  }
};

void pass_the_parcel(LoopKind kind, std::uint64_t seed, int tokens_each, std::uint64_t hops, std::uint32_t capacity) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  constexpr int kCores = 4;
  Cores cores(kind, kCores);
  if (!cores.there()) GTEST_SKIP() << "io_uring is not there";
  Mesh mesh(cores.raw, capacity);
  std::atomic<int> tokens_left{kCores * tokens_each};
  std::vector<Player> players;
  for (int core = 0; core < kCores; ++core)
    players.push_back({mesh, *cores.loops[static_cast<std::size_t>(core)], core, kCores, tokens_left,
                       std::mt19937_64(seed + static_cast<std::uint64_t>(core)), std::vector<std::uint64_t>(kCores),
                       std::vector<std::uint64_t>(kCores)});
  std::vector<std::thread> threads;
  for (Player& player : players) threads.emplace_back([&player, tokens_each, hops] { player.play(tokens_each, hops); });
  for (std::thread& thread : threads) thread.join();
  for (const Player& player : players) {
    EXPECT_EQ(player.out_of_order, 0u);
    EXPECT_EQ(player.waits_that_timed_out, 0u);
    for (std::size_t other = 0; other < kCores; ++other)
      EXPECT_EQ(player.sent[other], players[other].received[static_cast<std::size_t>(player.self)]);
  }
}

TEST_P(MeshTest, FewTokensAndSleepyCoresLoseNoWakeUp) {
  pass_the_parcel(GetParam(), 20260101, 1, 10'000, 64);
}
TEST_P(MeshTest, ManyTokensThroughTinyRingsKeepOrder) {
  pass_the_parcel(GetParam(), 20260102, 64, 500, 2);
}

TEST(Affinity, AThreadRunsWhereItIsPinned) {
  const std::vector<int> cpus = allowed_cpus();
  ASSERT_FALSE(cpus.empty());
  std::thread([&] {
    ASSERT_TRUE(pin_this_thread(cpus.back()));
    // The mask asked for is the calling thread's.
    EXPECT_EQ(allowed_cpus(), (std::vector<int>{cpus.back()}));
  }).join();
  EXPECT_EQ(allowed_cpus(), cpus);
}

}  // namespace
}  // namespace terrazzo::runtime

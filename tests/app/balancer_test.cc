#include "server/app/balancer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

shard::ShardKey key(int x) {
  return {WorldId{1}, {x, 0}};
}

CoreLoad core(shard::CoreId number, double busy, std::vector<double> work = {}) {
  CoreLoad load{number, busy, {}};
  for (std::size_t i = 0; i < work.size(); ++i)
    load.shards.push_back({key(number * 100 + static_cast<int>(i)), work[i]});
  return load;
}

// The first move it decides on when a core gives the same sample every second, and when.
struct Decided {
  std::optional<Balancer::Move> move;
  std::uint64_t seconds = 0;
};
Decided watch(Balancer& balancer, const std::vector<CoreLoad>& cores, std::uint64_t from = 0, std::uint64_t to = 60) {
  for (std::uint64_t second = from; second < to; ++second)
    if (const auto move = balancer.decide(cores, second * kSecond)) return {move, second};
  return {};
}

TEST(Balancer, GivesTheHottestShardOfAnOverloadedCoreToTheIdlest) {
  Balancer balancer;
  const Decided decided = watch(balancer, {core(0, 0.4), core(1, 0.95, {500, 300, 200}), core(2, 0.1)});
  ASSERT_TRUE(decided.move);
  EXPECT_EQ(decided.move->shard, key(100));
  EXPECT_EQ(decided.move->from, 1);
  EXPECT_EQ(decided.move->to, 2);
  EXPECT_EQ(decided.seconds, Balancer::kBusyForNs / kSecond);
}

TEST(Balancer, LeavesAloneWhatIsNotBusyForLong) {
  Balancer balancer;
  for (std::uint64_t second = 0; second < 100; ++second) {
    const double busy = second % 5 == 4 ? 0.5 : 0.95;
    EXPECT_FALSE(balancer.decide(std::vector{core(0, busy, {500, 500}), core(1, 0.1)}, second * kSecond));
  }
}

TEST(Balancer, LeavesAloneWhatAMoveWouldNotMakeBetter) {
  Balancer alone, level, one, quiet;
  EXPECT_FALSE(watch(alone, {core(0, 1, {500, 500})}).move);
  EXPECT_FALSE(watch(level, {core(0, 0.95, {500, 500}), core(1, 0.8, {100})}).move);
  EXPECT_FALSE(watch(one, {core(0, 0.95, {1000}), core(1, 0.05)}).move) << "the other core would be as busy";
  EXPECT_FALSE(watch(quiet, {core(0, 0.95, {0, 0}), core(1, 0.05)}).move) << "sockets keep it busy";
}

TEST(Balancer, TakesACoolerShardWhereTheHottestWouldBeTooMuch) {
  Balancer balancer;
  const Decided decided = watch(balancer, {core(0, 1, {900, 100}), core(1, 0.2)});
  ASSERT_TRUE(decided.move);
  EXPECT_EQ(decided.move->shard, key(1));
}

TEST(Balancer, PausesAfterAMoveAndDoesNotMoveAShardToAndFro) {
  Balancer balancer;
  const std::vector<CoreLoad> cores{core(0, 1, {400, 300, 300}), core(1, 0.1)};
  const Decided first = watch(balancer, cores);
  ASSERT_TRUE(first.move);
  // Nothing seems to change.
  const Decided second = watch(balancer, cores, first.seconds + 1);
  ASSERT_TRUE(second.move);
  EXPECT_EQ(second.move->shard, key(1));
  EXPECT_GE((second.seconds - first.seconds) * kSecond, Balancer::kPauseNs);
  const Decided third = watch(balancer, cores, second.seconds + 1);
  ASSERT_TRUE(third.move);
  EXPECT_EQ(third.move->shard, key(2));
  const Decided fourth = watch(balancer, cores, third.seconds + 1, 400);
  ASSERT_TRUE(fourth.move);
  EXPECT_EQ(fourth.move->shard, key(0));
  EXPECT_GE((fourth.seconds - first.seconds) * kSecond, Balancer::kSettledNs);
}

// Shards of any load on cores whose sockets take some, too: the loads come closer, moves end, none is taken back.
TEST(Balancer, ComesToRest) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto cores = 2 + random() % 6, shards = 1 + random() % 40;
    std::vector<double> sockets, takes;
    std::vector<std::size_t> owner;
    for (std::size_t i = 0; i < cores; ++i) sockets.push_back(static_cast<double>(random() % 20) / 100);
    for (std::size_t i = 0; i < shards; ++i) {
      takes.push_back(static_cast<double>(random() % 30) / 100);
      owner.push_back(random() % cores);
    }
    Balancer balancer;
    std::uint64_t last_move = 0;
    const std::uint64_t hour = 3600;
    for (std::uint64_t second = 0; second < 2 * hour; ++second) {
      std::vector<CoreLoad> loads;
      for (std::size_t c = 0; c < cores; ++c) {
        CoreLoad load{static_cast<shard::CoreId>(c), sockets[c], {}};
        for (std::size_t i = 0; i < shards; ++i) {
          if (owner[i] != c) continue;
          load.busy += takes[i];
          load.shards.push_back({key(static_cast<int>(i)), takes[i] * 1e6});
        }
        load.busy = std::min(load.busy, 1.0);
        std::ranges::sort(load.shards, [](const auto& a, const auto& b) { return a.work_per_s > b.work_per_s; });
        loads.push_back(std::move(load));
      }
      if (const auto move = balancer.decide(loads, second * kSecond)) {
        owner[static_cast<std::size_t>(move->shard.position.x)] = move->to;
        last_move = second;
      }
    }
    EXPECT_LT(last_move, hour) << "seed " << seed << ": still moving";
  }
}

}  // namespace
}  // namespace terrazzo::app

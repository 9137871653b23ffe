#include "server/runtime/spsc_ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace terrazzo::runtime {
namespace {

std::vector<int> drained(SpscRing<int>& ring) {
  std::vector<int> values;
  ring.drain([&](int value) { values.push_back(value); });
  return values;
}

TEST(SpscRing, KeepsOrderAndSaysWhenFull) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(4));
  EXPECT_EQ(drained(ring), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(drained(ring).empty());
}

TEST(SpscRing, RoundsTheCapacityUpToAPowerOfTwo) {
  SpscRing<int> ring(5);
  int held = 0;
  while (ring.push(held)) ++held;
  EXPECT_EQ(held, 8);
}

TEST(SpscRing, WrapsAroundManyTimes) {
  SpscRing<int> ring(4);
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(ring.push(round * 3 + i));
    ASSERT_EQ(drained(ring), (std::vector<int>{round * 3, round * 3 + 1, round * 3 + 2}));
  }
}

TEST(SpscRing, WhatAVisitPushesComesWithTheNextDrain) {
  SpscRing<int> ring(4);
  ASSERT_TRUE(ring.push(1));
  ring.drain([&](int value) { EXPECT_TRUE(ring.push(value + 1)); });
  EXPECT_EQ(drained(ring), (std::vector<int>{2}));
}

// Two threads, values of several words: a torn, lost, doubled or reordered one is seen, and by the thread sanitizer a
// race.
TEST(SpscRing, TwoThreadsLoseNothing) {
  struct Value {
    std::uint64_t words[8];
  };
  constexpr std::uint64_t kCount = 400'000;
  SpscRing<Value> ring(64);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      Value value;
      for (std::uint64_t& word : value.words) word = i;
      while (!ring.push(value)) std::this_thread::yield();
    }
  });
  std::uint64_t next = 0, wrong = 0;
  while (next < kCount) {
    const std::size_t count = ring.drain([&](const Value& value) {
      for (const std::uint64_t word : value.words) wrong += word != next;
      ++next;
    });
    if (count == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace terrazzo::runtime

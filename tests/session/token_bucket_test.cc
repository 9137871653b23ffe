#include "server/session/token_bucket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace terrazzo::session {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000, kStart = 77 * kSecond;

TEST(TokenBucket, AllowsABurstAndThenTheRate) {
  TokenBucket bucket;
  const Rate rate{10, 5};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(rate, 1, kStart));
  EXPECT_FALSE(bucket.take(rate, 1, kStart));
  EXPECT_FALSE(bucket.take(rate, 1, kStart + kSecond / 10 - 1));
  EXPECT_TRUE(bucket.take(rate, 1, kStart + kSecond / 10));
  EXPECT_FALSE(bucket.take(rate, 1, kStart + kSecond / 10));
  // Full again, not fuller.
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(rate, 1, kStart + 100 * kSecond));
  EXPECT_FALSE(bucket.take(rate, 1, kStart + 100 * kSecond));
}

TEST(TokenBucket, MoreThanABucketNeedsAFullOne) {
  TokenBucket bucket;
  const Rate rate{100, 100};
  EXPECT_TRUE(bucket.take(rate, 1'000'000'000'000, kStart));
  EXPECT_FALSE(bucket.take(rate, 1, kStart));
  EXPECT_FALSE(bucket.take(rate, 1'000'000'000'000, kStart + kSecond - 1));
  EXPECT_TRUE(bucket.take(rate, 1'000'000'000'000, kStart + kSecond));
}

TEST(TokenBucket, WithoutARateEverythingGoes) {
  TokenBucket bucket;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take({0, 1}, ~std::uint64_t{0}, kStart));
}

// Against a bucket that is filled drop by drop.
TEST(TokenBucket, DoesWhatABucketDoes) {
  const char* const given = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("TERRAZZO_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::uint64_t kPerSecond = 100;  // a token each 10 ms, so that both count in whole numbers
  const Rate rate{kPerSecond, 50};
  TokenBucket bucket;
  std::uint64_t tokens = rate.burst, step = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t later = random() % 30;
    step += later;
    tokens = std::min(tokens + later, rate.burst);
    const std::uint64_t cost = 1 + random() % 60, real = std::min(cost, rate.burst);
    const bool allowed = real <= tokens;
    if (allowed) tokens -= real;
    ASSERT_EQ(bucket.take(rate, cost, kStart + step * (kSecond / kPerSecond)), allowed) << i;
  }
}

TEST(TokenBucket, ManyThreadsTakeNoMoreThanThereIs) {
  TokenBucket bucket;
  const Rate rate{1000, 1000};
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) taken += bucket.take(rate, 1, kStart) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken.load(), 1000);
}

}  // namespace
}  // namespace terrazzo::session

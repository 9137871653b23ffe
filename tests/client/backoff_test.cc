// When clients come back: spread, later each time, and not before the server wants them.
#include "client-lib/src/sync/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace terrazzo::client {
namespace {

constexpr ReconnectPolicy kPolicy{.enabled = true, .delay_min_ms = 50, .delay_max_ms = 10'000};
constexpr std::uint64_t kClients = 5000;

// How many of the clients come in the fullest tenth of the time from `from` to `to`.
std::size_t fullest_tenth(const std::vector<std::uint32_t>& delays, std::uint32_t from, std::uint32_t to) {
  std::vector<std::size_t> tenths(10, 0);
  for (const std::uint32_t delay : delays) ++tenths[std::size_t{delay - from} * 10 / (to - from + 1)];
  return std::ranges::max(tenths);
}

TEST(Backoff, ACrowdThatWasCutOffAtOnceComesBackSpread) {
  std::vector<std::uint32_t> delays;
  for (std::uint64_t seed = 1; seed <= kClients; ++seed) delays.push_back(Backoff(kPolicy, seed).next_ms());
  EXPECT_GE(std::ranges::min(delays), 50u);
  EXPECT_LE(std::ranges::max(delays), 400u);
  EXPECT_LT(fullest_tenth(delays, 50, 400), kClients / 5);
}

TEST(Backoff, NobodyComesBeforeTheServerWantsThemNorAllAtThatMoment) {
  std::vector<std::uint32_t> delays;
  for (std::uint64_t seed = 1; seed <= kClients; ++seed) delays.push_back(Backoff(kPolicy, seed).next_ms(1000));
  EXPECT_GE(std::ranges::min(delays), 1000u);
  EXPECT_LE(std::ranges::max(delays), 2000u);
  EXPECT_LT(fullest_tenth(delays, 1000, 2000), kClients / 5);
}

TEST(Backoff, EachFailureDoublesTheCeilingUpToTheLongestDelay) {
  std::vector<std::uint32_t> longest(12, 0);
  for (std::uint64_t seed = 1; seed <= kClients; ++seed) {
    Backoff backoff(kPolicy, seed);
    for (std::uint32_t& delay : longest) delay = std::max(delay, backoff.next_ms());
  }
  std::uint32_t ceiling = 400;
  for (const std::uint32_t delay : longest) {
    EXPECT_LE(delay, ceiling);
    EXPECT_GT(delay, ceiling / 2) << "of 5000 draws";
    ceiling = std::min(ceiling * 2, kPolicy.delay_max_ms);
  }
}

TEST(Backoff, SuccessBeginsAnew) {
  Backoff backoff(kPolicy, 1);
  for (int i = 0; i < 20; ++i) backoff.next_ms();
  backoff.succeeded();
  EXPECT_LE(backoff.next_ms(), 400u);
}

TEST(Backoff, ExtremePoliciesStayInTheirBounds) {
  Backoff none({.enabled = true, .delay_min_ms = 0, .delay_max_ms = 0}, 1);
  Backoff fixed({.enabled = true, .delay_min_ms = 700, .delay_max_ms = 10}, 2);
  Backoff huge({.enabled = true, .delay_min_ms = UINT32_MAX, .delay_max_ms = UINT32_MAX}, 3);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(none.next_ms(), 0u);
    EXPECT_EQ(fixed.next_ms(), 700u);
    EXPECT_EQ(huge.next_ms(UINT32_MAX), UINT32_MAX);
  }
}

}  // namespace
}  // namespace terrazzo::client

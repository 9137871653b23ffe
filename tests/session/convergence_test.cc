// Clients that read when they like, over everything between them and the shards: BP-1, BP-3, BC-1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "slow_crowd.h"

namespace terrazzo::session {
namespace {

TEST(Convergence, WhoeverReadsAgainHasWhatTheShardsHold) {
  const char* wanted = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("TERRAZZO_SEED=" + std::to_string(seed));
  SlowCrowd crowd(seed, 6);
  for (int round = 0; round < 20; ++round) {
    for (int step = 0; step < 4000; ++step) crowd.step();
    crowd.settle();
    ASSERT_EQ(crowd.difference(), "") << "in round " << round;
  }
  std::uint64_t times_stale = 0;
  for (const auto& client : crowd.clients()) times_stale += client->times_stale;
  EXPECT_GT(times_stale, 20u) << "nobody was slow: the test proves nothing";
  EXPECT_GT(crowd.home().counters().edits_left_out, 200u);
  EXPECT_LT(crowd.outbox_bytes_most(), SlowCrowd::kRoomBytes + 1000) << "an edit went in beyond the bound";
}

}  // namespace
}  // namespace terrazzo::session

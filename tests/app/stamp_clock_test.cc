#include "server/app/stamp_clock.h"

#include <gtest/gtest.h>

namespace terrazzo::app {
namespace {

std::uint64_t wall_us = 0, steady_us = 0;

StampClock clock() {
  return StampClock(
      +[] { return wall_us * 1000; }, +[] { return steady_us * 1000; });
}
void pass(std::uint64_t us) {
  wall_us += us;
  steady_us += us;
}

TEST(StampClock, SaysWhatTheWallClockSays) {
  wall_us = 5'000'000, steady_us = 70;
  StampClock stamps = clock();
  EXPECT_EQ(stamps.now_us(), 5'000'000u);
  pass(10);
  EXPECT_EQ(stamps.now_us(), 5'000'010u);
  wall_us += 3'600'000'000;  // set forward
  EXPECT_EQ(stamps.now_us(), 3'605'000'010u);
}

TEST(StampClock, GoesOnWhereTheWallClockIsSetBack) {
  wall_us = 5'000'000, steady_us = 9'000'000;
  StampClock stamps = clock();
  EXPECT_EQ(stamps.now_us(), 5'000'000u);
  wall_us -= 4'000'000;
  pass(7);
  EXPECT_EQ(stamps.now_us(), 5'000'007u);
}

TEST(StampClock, BeginsAfterTheStampsOfRunsBefore) {
  wall_us = 5'000'000, steady_us = 40;
  StampClock stamps = clock();
  stamps.begin_after(8'000'000);
  EXPECT_EQ(stamps.now_us(), 8'000'001u);
  pass(3);
  EXPECT_EQ(stamps.now_us(), 8'000'004u);
  wall_us = 9'000'000;
  EXPECT_EQ(stamps.now_us(), 9'000'000u) << "the clock has come by";
  StampClock later = clock();
  later.begin_after(1);
  EXPECT_EQ(later.now_us(), 9'000'000u);
}

}  // namespace
}  // namespace terrazzo::app

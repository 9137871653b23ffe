#include "cli/time_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace terrazzo::cli {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000'000;

TEST(TimeText, IsHowLongAgoOrWhen) {
  EXPECT_EQ(*parse_time("now", kNow), kNow);
  EXPECT_EQ(*parse_time("90s", kNow), kNow - 90'000);
  EXPECT_EQ(*parse_time("30m", kNow), kNow - 1'800'000);
  EXPECT_EQ(*parse_time("2h", kNow), kNow - 7'200'000);
  EXPECT_EQ(*parse_time("7d", kNow), kNow - 604'800'000);
  EXPECT_EQ(*parse_time("900000d", kNow), 0u) << "before the clock began";
  EXPECT_EQ(*parse_time("2026-11-22T13:30:05Z", kNow), 1'795'354'205'000u);
  EXPECT_EQ(*parse_time("2026-11-22 13:30Z", kNow), 1'795'354'200'000u);
  EXPECT_EQ(*parse_time("2026-11-22Z", kNow), 1'795'305'600'000u);
}

TEST(TimeText, WithoutAZoneIsOfThisMachines) {
  ::setenv("TZ", "XYZ-2", 1);
  ::tzset();
  EXPECT_EQ(*parse_time("2026-11-22 13:30", kNow), 1'795'354'200'000u - 7'200'000u);
  ::unsetenv("TZ");
  ::tzset();
}

TEST(TimeText, OfNoKnownKindIsToldWhatWouldBeRight) {
  for (const char* text : {"", "yesterday", "2", "h", "2h ago", "-2h", "2026", "2026-11", "2026-13-01", "2026-11-22X13:30",
                           "2026-11-22 13", "2026-11-22 25:00", "2026-11-22 13:30:05 ", "1969-12-31", "99999999999999d"}) {
    const auto time = parse_time(text, kNow);
    ASSERT_FALSE(time) << text;
    EXPECT_NE(time.error().message.find("2h"), std::string::npos);
  }
}

}  // namespace
}  // namespace terrazzo::cli

#include "server/runtime/histogram.h"

#include <gtest/gtest.h>

namespace terrazzo::runtime {
namespace {

TEST(Histogram, CountsEachValueInTheSmallestBucketThatHoldsIt) {
  Histogram histogram(3);  // at most 8, 16, 32, …
  for (const std::uint64_t value : {0, 1, 8, 9, 16, 17}) histogram.record(value);
  EXPECT_EQ(histogram.bound(0), 8u);
  EXPECT_EQ(histogram.count(0), 3u);
  EXPECT_EQ(histogram.count(1), 2u);
  EXPECT_EQ(histogram.count(2), 1u);
  EXPECT_EQ(histogram.sum(), 51u);
  EXPECT_EQ(histogram.total(), 6u);
}

TEST(Histogram, ValuesBeyondEveryBoundCountInTheLastBucket) {
  Histogram histogram(0);
  const std::uint64_t largest = histogram.bound(Histogram::kBuckets - 1);
  histogram.record(largest);
  histogram.record(largest + 1);
  histogram.record(~std::uint64_t{0});
  EXPECT_EQ(histogram.count(Histogram::kBuckets - 1), 1u);
  EXPECT_EQ(histogram.count(Histogram::kBuckets), 2u);
}

}  // namespace
}  // namespace terrazzo::runtime

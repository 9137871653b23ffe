#include "server/shard/encoded_chunks.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "server/shard/fanout.h"

namespace terrazzo::shard {
namespace {

EncodedChunks::Key key(std::uint32_t chunk, proto::Form form = proto::Form::binary) {
  return {{WorldId{7}, {0, 0}}, chunk, 1, form};
}
SharedBytes frame(std::size_t bytes) {
  return shared(std::vector<std::byte>(bytes));
}

TEST(EncodedChunks, GivesWhatWasPutInUnderItsRevisionOnly) {
  EncodedChunks chunks(1 << 20);
  EXPECT_FALSE(chunks.find(key(3), Lsn{5}));
  chunks.insert(key(3), Lsn{5}, frame(10));
  EXPECT_EQ(chunks.find(key(3), Lsn{5}).size(), 10u);
  EXPECT_FALSE(chunks.find(key(3), Lsn{6}));
  EXPECT_FALSE(chunks.find(key(3, proto::Form::json), Lsn{5}));
  EXPECT_FALSE(chunks.find(key(4), Lsn{5}));
  chunks.insert(key(3), Lsn{6}, frame(20));
  EXPECT_EQ(chunks.size(), 1u) << "the older revision is never asked for again";
  EXPECT_EQ(chunks.find(key(3), Lsn{6}).size(), 20u);
  EXPECT_EQ(chunks.counters().hits, 2u);
  EXPECT_EQ(chunks.counters().misses, 4u);
}

TEST(EncodedChunks, KeepsWhatIsAskedForAndLetsTheRestGo) {
  EncodedChunks chunks(20'000);
  for (std::uint32_t i = 0; i < 10; ++i) chunks.insert(key(i), Lsn{1}, frame(1000));
  for (std::uint32_t i = 100; i < 200; ++i) {  // a wanderer through places that nobody else looks at
    for (std::uint32_t popular = 0; popular < 5; ++popular) ASSERT_TRUE(chunks.find(key(popular), Lsn{1})) << i;
    chunks.insert(key(i), Lsn{1}, frame(1000));
  }
  for (std::uint32_t i = 5; i < 10; ++i) EXPECT_FALSE(chunks.find(key(i), Lsn{1})) << i;
  EXPECT_GT(chunks.counters().evicted, 80u);
}

TEST(EncodedChunks, StaysInsideItsBound) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  EncodedChunks chunks(30'000);
  for (int step = 0; step < 20'000; ++step) {
    const auto chunk = static_cast<std::uint32_t>(random() % 60);
    const Lsn revision{random() % 3 + 1};
    const std::size_t size = random() % 5000;
    if (const SharedBytes found = chunks.find(key(chunk), revision)) {
      ASSERT_EQ(found.size() % 3, revision.value - 1);
    } else {
      chunks.insert(key(chunk), revision, frame(size - size % 3 + revision.value - 1));
    }
    ASSERT_LE(chunks.bytes(), 30'000u);
  }
  EXPECT_GT(chunks.size(), 3u);
}

TEST(EncodedChunks, KeepsNothingThatIsLargerThanItsBound) {
  EncodedChunks none(0), small(1000);
  none.insert(key(1), Lsn{1}, frame(1));
  small.insert(key(1), Lsn{1}, frame(2000));
  EXPECT_EQ(none.size() + small.size(), 0u);
  EXPECT_EQ(none.bytes() + small.bytes(), 0u);
}

}  // namespace
}  // namespace terrazzo::shard

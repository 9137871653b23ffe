// Sealed log segments: everything comes back, only what is asked for is unpacked, damage is noticed.
#include "server/storage/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include "base/crc32c.h"

namespace terrazzo::storage {
namespace {

struct Kept {
  std::vector<std::byte> payload;
};
using Key = std::tuple<std::uint64_t, std::int32_t, std::int32_t, std::uint64_t>;

// A payload says in its first byte which chunk it changed.
ChunkArea area_of(const Record& record) {
  const auto x = std::to_integer<std::int64_t>(record.payload[0]);
  return {x, 0, x + 1, 1};
}

class History : public testing::Test {
 protected:
  History() {
    WalWriter writer(3, Incarnation{9}, 1, 64 << 20);
    for (int i = 0; i < 20000; ++i) {
      const ShardIdentity shard{WorldId{1 + random_() % 2}, static_cast<std::int32_t>(random_() % 3), -1};
      const std::uint64_t lsn = ++lsns_[{shard.world.value, shard.x}];
      std::vector<std::byte> payload(20 + random_() % 100);
      for (std::byte& b : payload) b = static_cast<std::byte>(random_() % 4);
      payload[0] = static_cast<std::byte>(lsn / 100);
      writer.append({RecordKind::edit, shard, Lsn{lsn}, payload});
      kept_[{shard.world.value, shard.x, shard.y, lsn}] = {payload};
    }
    const auto group = writer.next_group();
    segment_.assign(group->bytes.begin(), group->bytes.end());
    const auto sealed = seal_segment(segment_, {3, Incarnation{9}, 1}, area_of);
    EXPECT_TRUE(sealed.ok()) << sealed.error().message;
    file_ = sealed->file;
  }
  std::mt19937 random_{7};
  std::map<std::pair<std::uint64_t, std::int32_t>, std::uint64_t> lsns_;
  std::map<Key, Kept> kept_;
  std::vector<std::byte> segment_, file_;
};

TEST_F(History, EverythingComesBackInLessSpace) {
  EXPECT_LT(file_.size(), segment_.size() / 3);
  const auto reader = HistoryReader::open(file_);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->info().core, 3u);
  EXPECT_EQ(reader->info().incarnation, 9u);
  EXPECT_EQ(reader->info().records, kept_.size());
  std::size_t seen = 0;
  const auto blocks = reader->visit({}, [&](const Record& record) {
    const auto found = kept_.find({record.shard.world.value, record.shard.x, record.shard.y, record.lsn.value});
    ASSERT_NE(found, kept_.end());
    EXPECT_TRUE(std::ranges::equal(record.payload, found->second.payload));
    ++seen;
  });
  ASSERT_TRUE(blocks.ok());
  EXPECT_EQ(seen, kept_.size());
  EXPECT_EQ(*blocks, reader->info().blocks);
}

TEST_F(History, OnlyBlocksWithAnAnswerAreUnpacked) {
  const auto reader = HistoryReader::open(file_);
  ASSERT_TRUE(reader.ok());
  ASSERT_GT(reader->info().blocks, 6u);
  HistoryQuery one;
  one.shard = ShardIdentity{WorldId{2}, 1, -1};
  one.first = Lsn{500};
  one.last = Lsn{510};
  std::vector<std::uint64_t> lsns;
  const auto blocks = reader->visit(one, [&](const Record& record) { lsns.push_back(record.lsn.value); });
  ASSERT_TRUE(blocks.ok());
  EXPECT_LE(*blocks, 2u);
  ASSERT_EQ(lsns.size(), 11u);
  EXPECT_TRUE(std::ranges::is_sorted(lsns));
  HistoryQuery nowhere;
  nowhere.area = ChunkArea{1000, 0, 1001, 1};
  EXPECT_EQ(*reader->visit(nowhere, [](const Record&) { FAIL(); }), 0u);
  HistoryQuery early;
  early.area = ChunkArea{0, 0, 1, 1};
  EXPECT_LT(*reader->visit(early, [](const Record&) {}), reader->info().blocks);
}

TEST_F(History, DamageAnywhereIsNoticed) {
  for (std::size_t at = 0; at < file_.size(); at += 1 + file_.size() / 300) {
    std::vector<std::byte> damaged = file_;
    damaged[at] ^= std::byte{4};
    const auto reader = HistoryReader::open(damaged);
    if (!reader.ok()) continue;
    const auto read = reader->visit({}, [](const Record&) {});
    EXPECT_FALSE(read.ok()) << "byte " << at;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{90}, file_.size() / 2, file_.size() - 1})
    EXPECT_FALSE(HistoryReader::open(std::span(file_).first(size)).ok()) << size;
}

TEST_F(History, AnotherFormatIsRefusedInWords) {
  // Magic, version, core, incarnation, number, checksum of these.
  constexpr std::size_t kVersionAt = 8, kCrcAt = 28;
  const std::uint32_t newer = 2;
  std::memcpy(&file_[kVersionAt], &newer, sizeof newer);
  const std::uint32_t crc = crc32c(std::span(file_).first(kCrcAt));
  std::memcpy(&file_[kCrcAt], &crc, sizeof crc);
  const auto reader = HistoryReader::open(file_);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, ErrorCode::unsupported);
  EXPECT_EQ(reader.error().message,
            "the sealed log has format version 2, this server reads 1: use the version that wrote it");
}

TEST(HistoryOfNothing, IsNothing) {
  const std::vector<std::byte> zeros(8192);
  const auto sealed = seal_segment(zeros, {0, Incarnation{1}, 1}, area_of);
  ASSERT_TRUE(sealed.ok());
  EXPECT_TRUE(sealed->file.empty());
}

}  // namespace
}  // namespace terrazzo::storage

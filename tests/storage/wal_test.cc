#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "server/storage/page_file.h"
#include "server/storage/wal.h"
#include "server/storage/wal_format.h"
#include "wal_disk.h"

namespace terrazzo::storage {
namespace {

TEST(Wal, ReadsBackWhatWasWritten) {
  WalWriter writer(3, Incarnation{9}, 1, kSegmentBytes);
  Disk disk;
  // Payloads around the alignment, the header's size and the page's, over several groups.
  std::vector<Kept> all = append(writer, 1, {0, 1, 7, 8, 9, 47, 48, 49});
  disk.sync(writer);
  for (const Kept& record : append(writer, 9, {4096 - 48, 4096 - 47, 4096, 5000})) all.push_back(record);
  disk.sync(writer);
  for (const Kept& record : append(writer, 13, {100})) all.push_back(record);
  disk.sync(writer);
  EXPECT_EQ(scanned(disk.segments.at(1), {3, Incarnation{9}, 1}).records, all);
  EXPECT_EQ(writer.durable_sequence(), 13u);
  EXPECT_EQ(writer.pending_bytes(), 0u);
}

TEST(Wal, EveryPaddingLengthIsSteppedOver) {
  for (std::size_t size = 4096 - 48 - 120; size <= 4096 + 8; size += 4) {
    WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
    Disk disk;
    std::vector<Kept> all = append(writer, 1, {size});
    disk.sync(writer);
    for (const Kept& record : append(writer, 2, {20})) all.push_back(record);
    disk.sync(writer);
    ASSERT_EQ(scanned(disk.segments.at(1), {0, Incarnation{1}, 1}).records, all) << "payload of " << size;
  }
}

TEST(Wal, SequencesAndOneGroupInFlight) {
  WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
  EXPECT_FALSE(writer.next_group().has_value());
  const Kept record = made(1, 10);
  EXPECT_EQ(writer.append(view(record)), 1u);
  EXPECT_EQ(writer.append(view(record)), 2u);
  const std::optional<WalWrite> group = writer.next_group();
  ASSERT_TRUE(group.has_value());
  EXPECT_TRUE(group->new_segment);
  EXPECT_EQ(group->offset % kPageBytes, 0u);
  EXPECT_EQ(group->bytes.size() % kPageBytes, 0u);
  EXPECT_EQ(writer.append(view(record)), 3u);
  EXPECT_FALSE(writer.next_group().has_value()) << "one is in flight";
  EXPECT_EQ(writer.durable_sequence(), 0u);
  writer.group_synced({});
  EXPECT_EQ(writer.durable_sequence(), 2u) << "the third was not in that group";
  const std::optional<WalWrite> second = writer.next_group();
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->new_segment);
  EXPECT_EQ(second->offset, group->bytes.size());
}

TEST(Wal, BytesInFlightStayWhileTheNextGroupGathers) {
  WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
  append(writer, 1, {500});
  const std::optional<WalWrite> group = writer.next_group();
  ASSERT_TRUE(group.has_value());
  const std::vector<std::byte> before(group->bytes.begin(), group->bytes.end());
  for (std::uint64_t lsn = 2; lsn < 500; ++lsn) append(writer, lsn, {300});
  EXPECT_TRUE(std::equal(before.begin(), before.end(), group->bytes.begin(), group->bytes.end()));
}

TEST(Wal, AFailedSyncKillsTheWriter) {
  WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
  append(writer, 1, {10});
  ASSERT_TRUE(writer.next_group().has_value());
  append(writer, 2, {10});
  writer.group_synced(Error{ErrorCode::read_only, "the disk failed"});
  EXPECT_TRUE(writer.failed());
  EXPECT_EQ(writer.durable_sequence(), 0u);
  EXPECT_FALSE(writer.next_group().has_value()) << "nobody knows what is on disk: nothing may follow";
}

TEST(Wal, RollsOverToTheNextSegmentWhenFull) {
  WalWriter writer(2, Incarnation{5}, 1, kSegmentBytes);
  Disk disk;
  std::vector<Kept> all;
  for (std::uint64_t lsn = 1; lsn <= 60; ++lsn) {
    const bool was_there = !disk.segments.empty();
    const std::uint32_t before = was_there ? disk.segments.rbegin()->first : 0;
    all.push_back(append(writer, lsn, {3000}).front());
    const WalWrite group = disk.sync(writer);
    EXPECT_EQ(group.new_segment, group.segment != before);
    EXPECT_LE(group.offset + group.bytes.size(), kSegmentBytes);
    if (group.new_segment) {
      EXPECT_EQ(group.segment, before + 1);
      EXPECT_EQ(group.offset, 0u);
    }
  }
  EXPECT_EQ(disk.segments.size(), 4u);
  std::vector<Kept> found;
  for (const auto& [number, bytes] : disk.segments)
    for (Kept& record : scanned(bytes, {2, Incarnation{5}, number}).records) found.push_back(std::move(record));
  EXPECT_EQ(found, all);
}

TEST(Wal, AGroupLargerThanASegmentIsWrittenWhole) {
  WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
  Disk disk;
  std::vector<Kept> all = append(writer, 1, {10});
  disk.sync(writer);
  const std::vector<Kept> large = append(writer, 2, {2 * kSegmentBytes, 100});
  EXPECT_EQ(disk.sync(writer).segment, 2u);
  const std::vector<Kept> after = append(writer, 4, {10});
  EXPECT_EQ(disk.sync(writer).segment, 3u);
  EXPECT_EQ(scanned(disk.segments.at(1), {0, Incarnation{1}, 1}).records, all);
  EXPECT_EQ(scanned(disk.segments.at(2), {0, Incarnation{1}, 2}).records, large);
  EXPECT_EQ(scanned(disk.segments.at(3), {0, Incarnation{1}, 3}).records, after);
}

TEST(Wal, TheSteadyStateKeepsItsTwoBuffers) {
  WalWriter writer(0, Incarnation{1}, 1, 1 << 20);
  Disk disk;
  std::vector<const std::byte*> buffers;
  for (std::uint64_t lsn = 1; lsn <= 40; ++lsn) {
    append(writer, lsn, {1000});
    const std::byte* const at = disk.sync(writer).bytes.data();
    if (std::find(buffers.begin(), buffers.end(), at) == buffers.end()) buffers.push_back(at);
  }
  // Two of the steady state, and what they were before they had grown for the header page and one padded group.
  EXPECT_LE(buffers.size(), 4u);
}

// ---- crashes ----

// Two groups, the second torn. The first was acknowledged: all of it must be read, whatever the second looks like; of
// the second any prefix of records may be, and nothing else.
class TornTail : public testing::Test {
 protected:
  static constexpr SegmentName kName{1, Incarnation{4}, 1};
  TornTail() {
    WalWriter writer(1, Incarnation{4}, 1, kSegmentBytes);
    first_ = append(writer, 1, {30, 200, 4000});
    disk_.sync(writer);
    before_ = disk_.segments.at(1);
    all_ = first_;
    for (const Kept& record : append(writer, 4, {0, 100, 5000, 33})) all_.push_back(record);
    group_ = disk_.sync(writer);
    group_end_ = group_.offset + group_.bytes.size();
  }
  void expect_whole_prefix(const std::vector<std::byte>& bytes, const std::string& what) {
    const Scanned found = scanned(bytes, kName);
    ASSERT_GE(found.records.size(), first_.size()) << what;
    ASSERT_TRUE(is_prefix(found.records, all_)) << what;
    ASSERT_NE(found.scan.end, WalScan::End::damaged) << what << ": that is what a crash leaves";
  }
  const std::vector<std::byte>& whole() const { return disk_.segments.at(1); }

  Disk disk_;
  std::vector<Kept> first_, all_;
  std::vector<std::byte> before_;
  WalWrite group_;
  std::size_t group_end_ = 0;
};

TEST_F(TornTail, AtEveryByteOfTheLastGroup) {
  ASSERT_EQ(scanned(whole(), kName).records, all_);
  std::size_t most = 0;
  for (std::size_t cut = group_.offset; cut <= group_end_; ++cut) {
    std::vector<std::byte> bytes = before_;
    std::copy_n(whole().begin() + static_cast<std::ptrdiff_t>(group_.offset), cut - group_.offset,
                bytes.begin() + static_cast<std::ptrdiff_t>(group_.offset));
    const Scanned found = scanned(bytes, kName);
    ASSERT_GE(found.records.size(), std::max(first_.size(), most)) << "cut at " << cut;
    ASSERT_TRUE(is_prefix(found.records, all_)) << "cut at " << cut;
    // Up to its first byte that is not zero nothing of a group is there; in its padding all of it is.
    const bool any = std::any_of(bytes.begin() + static_cast<std::ptrdiff_t>(group_.offset), bytes.end(),
                                 [](std::byte b) { return b != std::byte{0}; });
    const bool all = found.records.size() == all_.size();
    ASSERT_EQ(found.scan.end, any && !all ? WalScan::End::torn : WalScan::End::clean) << "cut at " << cut;
    most = found.records.size();
  }
  EXPECT_EQ(most, all_.size());
}

TEST_F(TornTail, AFileThatEndsAtEveryByteOfTheLastGroup) {
  for (std::size_t cut = group_.offset; cut <= group_end_; ++cut)
    expect_whole_prefix({whole().begin(), whole().begin() + static_cast<std::ptrdiff_t>(cut)},
                        "ends at " + std::to_string(cut));
}

// The disk writes the sectors of a group in any order.
TEST_F(TornTail, AnySetOfItsSectors) {
  constexpr std::size_t kSector = 512;
  const std::size_t sectors = (group_end_ - group_.offset) / kSector;
  std::mt19937_64 chance(20260103);
  RecordProperty("seed", "20260103");
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes = before_;
    const std::uint64_t present = chance();
    for (std::size_t sector = 0; sector < sectors; ++sector) {
      if ((present >> (sector % 64) & 1) == 0) continue;
      const std::size_t at = group_.offset + sector * kSector;
      std::copy_n(whole().begin() + static_cast<std::ptrdiff_t>(at), kSector,
                  bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    expect_whole_prefix(bytes, "seed 20260103, round " + std::to_string(round));
  }
}

// Every bit of the second group's first page and some of the rest: a flip loses that record and those behind it, or, in
// padding and where a record does not look, nothing. It never changes what is read.
TEST_F(TornTail, AFlippedBitNeverChangesARecord) {
  for (std::size_t at = group_.offset; at < group_end_; at += at < group_.offset + 600 ? 1 : 37) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> bytes = whole();
      bytes[at] ^= static_cast<std::byte>(1 << bit);
      expect_whole_prefix(bytes, "byte " + std::to_string(at) + " bit " + std::to_string(bit));
    }
  }
}

TEST_F(TornTail, AFlippedBitInTheFirstGroupEndsTheScanThere) {
  std::vector<std::byte> bytes = whole();
  bytes[kPageBytes + sizeof(RecordHeader) + 3] ^= std::byte{1};
  EXPECT_TRUE(scanned(bytes, kName).records.empty());
}

// ---- foreign bytes ----

constexpr SegmentName kFirst{0, Incarnation{1}, 1};

TEST(WalForeign, ARecycledFilesPastIsNotRead) {
  Disk disk;
  WalWriter old_run(0, Incarnation{1}, 1, kSegmentBytes);
  for (std::uint64_t lsn = 1; lsn <= 10; ++lsn) {
    append(old_run, lsn, {200});
    disk.sync(old_run);
  }
  // The same file under each of the names that may take it over: a later run's, another number, another core's.
  const std::vector<std::byte> past = disk.segments.at(1);
  using Name = SegmentName;
  for (const Name name : {Name{0, Incarnation{2}, 1}, Name{0, Incarnation{1}, 2}, Name{1, Incarnation{1}, 1}}) {
    Disk recycled;
    recycled.segments[name.number] = past;
    WalWriter writer(name.core, name.incarnation, name.number, kSegmentBytes);
    const std::vector<Kept> records = append(writer, 100, {200});
    recycled.sync(writer);
    EXPECT_EQ(scanned(recycled.segments.at(name.number), name).records, records);
    // Nor when of the new group only the header page came to the disk.
    std::vector<std::byte> torn = past;
    std::copy_n(recycled.segments.at(name.number).begin(), kPageBytes, torn.begin());
    EXPECT_TRUE(scanned(torn, name).records.empty());
  }
}

TEST(WalForeign, EmptyZeroAndStrangeFilesHoldNothing) {
  EXPECT_TRUE(scanned({}, kFirst).records.empty());
  EXPECT_TRUE(scanned(std::vector<std::byte>(100), kFirst).records.empty());
  EXPECT_TRUE(scanned(std::vector<std::byte>(kSegmentBytes), kFirst).records.empty());
  EXPECT_TRUE(scanned(std::vector<std::byte>(kSegmentBytes, std::byte{0xff}), kFirst).records.empty());
  std::mt19937_64 chance(20260104);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::byte> noise(3 * kPageBytes);
    for (std::byte& byte : noise) byte = static_cast<std::byte>(chance() & 255);
    EXPECT_TRUE(scanned(noise, kFirst).records.empty()) << "seed 20260104, round " << round;
  }
}

// Behind a good header, anything: the scan ends, inside the bytes it was given.
TEST(WalForeign, NoiseBehindAHeaderEndsTheScan) {
  std::mt19937_64 chance(20260105);
  for (int round = 0; round < 300; ++round) {
    WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
    Disk disk;
    const std::vector<Kept> records = append(writer, 1, {50});
    const WalWrite group = disk.sync(writer);
    std::vector<std::byte> bytes = disk.segments.at(1);
    bytes.resize(group.bytes.size() + chance() % (3 * kPageBytes));
    for (std::size_t at = group.bytes.size(); at < bytes.size(); ++at)
      bytes[at] = static_cast<std::byte>(chance() & 255);
    EXPECT_EQ(scanned(bytes, kFirst).records, records) << "seed 20260105, round " << round;
  }
}

TEST(WalForeign, ANewerFormatIsRefusedByName) {
  WalWriter writer(0, Incarnation{1}, 1, kSegmentBytes);
  Disk disk;
  append(writer, 1, {50});
  disk.sync(writer);
  SegmentHeader header;
  std::memcpy(&header, disk.segments.at(1).data(), sizeof header);
  header.version = kSegmentVersion + 1;
  header.crc = crc32c({reinterpret_cast<const std::byte*>(&header), offsetof(SegmentHeader, crc)});
  std::memcpy(disk.segments.at(1).data(), &header, sizeof header);
  const Result<WalScan> scan = scan_segment(disk.segments.at(1), kFirst, [](const Record&) { FAIL(); });
  ASSERT_FALSE(scan.ok());
  EXPECT_EQ(scan.error().code, ErrorCode::unsupported);
  EXPECT_NE(scan.error().message.find("version " + std::to_string(kSegmentVersion + 1)), std::string::npos)
      << scan.error().message;
}

}  // namespace
}  // namespace terrazzo::storage

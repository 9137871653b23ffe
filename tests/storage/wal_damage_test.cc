// A log whose groups do not all check: what a crash leaves is told from what must never happen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "server/storage/log_damage.h"
#include "wal_disk.h"

namespace terrazzo::storage {
namespace {

using End = WalScan::End;

// Five groups, of one record, of three in one page, of one of several pages, of one, and of two.
class Damaged : public testing::Test {
 protected:
  static constexpr SegmentName kName{2, Incarnation{6}, 1};

  Damaged() {
    WalWriter writer(kName.core, kName.incarnation, kName.number, kSegmentBytes);
    for (const auto& sizes : {std::vector<std::size_t>{100}, {40, 50, 60}, {9000}, {200}, {300, 400}}) {
      for (const std::size_t size : sizes) {
        all_.push_back(made(all_.size() + 1, size));
        writer.append(view(all_.back()));
      }
      const WalWrite group = disk_.sync(writer);
      begins_.push_back(groups_.empty() ? kPageBytes : group.offset);
      groups_.push_back(sizes.size());
      ends_ = group.offset + group.bytes.size();
    }
    bytes_ = disk_.segments.at(1);
  }
  Scanned scan() const { return scanned(bytes_, kName); }
  void zero(std::uint64_t from, std::uint64_t bytes) {
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from), bytes, std::byte{0});
  }
  void flip(std::uint64_t at) { bytes_[at] ^= std::byte{0x10}; }
  std::vector<Kept> from(std::size_t record) const {
    return {all_.begin() + static_cast<std::ptrdiff_t>(record), all_.end()};
  }

  Disk disk_;
  std::vector<Kept> all_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::size_t> groups_;
  std::uint64_t ends_ = 0;
  std::vector<std::byte> bytes_;
};

TEST_F(Damaged, AWholeLogEndsCleanly) {
  const Scanned found = scan();
  EXPECT_EQ(found.records, all_);
  EXPECT_EQ(found.scan.end, End::clean);
  EXPECT_EQ(found.scan.end_at, ends_);
  EXPECT_TRUE(found.scan.begun);
  EXPECT_EQ(found.scan.first_ordinal, 1);
  EXPECT_EQ(found.scan.last_ordinal, 5);
}

TEST_F(Damaged, ARecordThatDoesNotCheckBeforeWholeGroupsIsDamage) {
  flip(begins_[1] + sizeof(RecordHeader) + 3);
  const Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::damaged);
  EXPECT_EQ(found.scan.end_at, begins_[1]);
  EXPECT_EQ(found.scan.groups_behind, 3u);
  EXPECT_EQ(found.records, std::vector<Kept>(all_.begin(), all_.begin() + 1));
  EXPECT_EQ(found.behind, from(2)) << "the other records of its group, too";
}

TEST_F(Damaged, TheSecondRecordOfAGroup) {
  const std::uint64_t second = begins_[1] + sizeof(RecordHeader) + 40;
  flip(second + sizeof(RecordHeader));
  const Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::damaged);
  EXPECT_EQ(found.scan.end_at, second);
  EXPECT_EQ(found.scan.groups_behind, 3u);
  EXPECT_EQ(found.records.size(), 2u);
  EXPECT_EQ(found.behind, from(3));
}

// A group lost so that what is left looks like the padding behind the record before it.
TEST_F(Damaged, ZerosInTheMiddleAreNoPadding) {
  const std::uint64_t second = begins_[1] + sizeof(RecordHeader) + 40;
  zero(second, begins_[2] - second);
  Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::damaged);
  EXPECT_EQ(found.scan.end_at, second);
  EXPECT_EQ(found.scan.groups_behind, 3u);
  zero(begins_[1], begins_[2] - begins_[1]);
  found = scan();
  EXPECT_EQ(found.scan.end, End::damaged);
  EXPECT_EQ(found.scan.end_at, begins_[1]);
  EXPECT_EQ(found.scan.groups_behind, 3u);
  EXPECT_EQ(found.behind, from(4));
}

TEST_F(Damaged, AnyByteOfARecordBeforeTheLastGroup) {
  for (std::uint64_t at = kPageBytes; at < begins_[4]; at += 7) {
    const std::vector<std::byte> before = bytes_;
    flip(at);
    const Scanned found = scan();
    // In the padding nothing is lost.
    if (found.scan.end == End::clean) {
      ASSERT_EQ(found.records, all_) << "byte " << at;
    } else {
      ASSERT_EQ(found.scan.end, End::damaged) << "byte " << at;
      ASSERT_LE(found.scan.end_at, at);
      ASSERT_EQ(found.records.size() + 1 + found.behind.size(), all_.size()) << "byte " << at;
    }
    bytes_ = before;
  }
}

TEST_F(Damaged, TheLastGroupIsATornTail) {
  flip(begins_[4] + sizeof(RecordHeader));
  const Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::torn) << "its second record checks, and still nothing lies behind the group";
  EXPECT_EQ(found.scan.end_at, begins_[4]);
  EXPECT_EQ(found.scan.groups_behind, 0u);
  EXPECT_TRUE(found.behind.empty());
}

TEST_F(Damaged, AHeaderPageThatDoesNotCheck) {
  flip(0);
  const Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::damaged);
  EXPECT_EQ(found.scan.end_at, 0u);
  EXPECT_EQ(found.scan.groups_behind, 5u);
  EXPECT_EQ(found.behind, all_);
  EXPECT_TRUE(found.scan.begun);
}

TEST_F(Damaged, AHeaderPageThatNeverCameToTheDiskIsATornFirstGroup) {
  zero(0, kPageBytes);
  zero(begins_[1], ends_ - begins_[1]);
  const Scanned found = scan();
  EXPECT_EQ(found.scan.end, End::torn);
  EXPECT_EQ(found.scan.groups_behind, 0u);
  EXPECT_TRUE(found.records.empty());
}

TEST_F(Damaged, GroupsOfARecycledFilesPastAreNotLaterGroups) {
  // The next run's log over this one: one group, and a torn one.
  constexpr SegmentName kNext{2, Incarnation{7}, 1};
  WalWriter writer(kNext.core, kNext.incarnation, kNext.number, kSegmentBytes);
  Disk disk;
  disk.segments[1] = bytes_;
  const std::vector<Kept> first = append(writer, 50, {30});
  const WalWrite one = disk.sync(writer);
  std::vector<std::byte> now = disk.segments.at(1);
  Scanned found = scanned(now, kNext);
  EXPECT_EQ(found.records, first);
  EXPECT_EQ(found.scan.end, End::clean) << "what follows is the file's past";
  append(writer, 51, {30, 30});
  const WalWrite two = disk.sync(writer);
  now = disk.segments.at(1);
  now[two.offset + 20] ^= std::byte{1};
  found = scanned(now, kNext);
  EXPECT_EQ(found.records, first);
  EXPECT_EQ(found.scan.end, End::torn);
  EXPECT_EQ(found.scan.end_at, one.bytes.size());
}

// Before groups had numbers it could not be told where one ends: such a log is read to where it does not check.
TEST_F(Damaged, ALogOfAnOlderServerIsReadAsItDid) {
  for (std::uint64_t at = kPageBytes; at < ends_;) {
    RecordHeader header;
    std::memcpy(&header, bytes_.data() + at, sizeof header);
    const std::uint64_t next = at + sizeof header + (header.bytes + 7) / 8 * 8;
    const bool last = (header.flags & kLastOfGroup) != 0;
    header.flags = 0;
    header.ordinal = 0;
    header.group_page = 0;
    std::memcpy(bytes_.data() + at, &header, sizeof header);
    constexpr std::size_t skipped = offsetof(RecordHeader, salt);
    header.crc = crc32c(std::span(bytes_).subspan(at + skipped, sizeof header - skipped + header.bytes));
    std::memcpy(bytes_.data() + at, &header, sizeof header);
    at = last ? (next + kPageBytes - 1) / kPageBytes * kPageBytes : next;
  }
  Scanned found = scan();
  EXPECT_EQ(found.records, all_);
  EXPECT_EQ(found.scan.end, End::clean);
  flip(begins_[2] + 100);
  found = scan();
  EXPECT_EQ(found.records, std::vector<Kept>(all_.begin(), all_.begin() + 4));
  EXPECT_EQ(found.scan.end, End::torn);
}

TEST_F(Damaged, ASegmentUnderAnotherName) {
  const Result<WalScan> scan = scan_segment(bytes_, {3, Incarnation{6}, 1}, [](const Record&) { FAIL(); });
  ASSERT_FALSE(scan.ok());
  EXPECT_NE(scan.error().message.find("6-1 of core 2"), std::string::npos) << scan.error().message;
}

// Bytes that a client chose look like the beginnings of records everywhere: to search them must not take the square of
// their length.
TEST_F(Damaged, MadeUpRecordsDoNotHoldUpTheSearch) {
  WalWriter writer(kName.core, kName.incarnation, kName.number, 64 << 20);
  const Kept first = made(1, 10);
  writer.append(view(first));
  Kept fake = made(2, 48 << 20);
  RecordHeader header{};
  header.bytes = 20 << 20;
  header.salt = record_salt(6, 2, 1);
  header.kind = 1;
  header.flags = kNumbered;
  header.group_page = 1;
  for (std::size_t at = 0; at + sizeof header <= fake.payload.size(); at += sizeof header)
    std::memcpy(fake.payload.data() + at, &header, sizeof header);
  writer.append(view(fake));
  const std::optional<WalWrite> group = writer.next_group();
  std::vector<std::byte> bytes(group->bytes.begin(), group->bytes.end());
  bytes[kPageBytes + 4] ^= std::byte{1};
  bytes[kPageBytes + 64 + 4] ^= std::byte{1};
  const Scanned found = scanned(bytes, kName);
  EXPECT_TRUE(found.records.empty());
  EXPECT_EQ(found.scan.end, End::torn);
}

// ---- over segments ----

struct Segments : testing::Test {
  Segments() {
    WalWriter writer(0, Incarnation{3}, 1, kSegmentBytes);
    for (std::uint64_t lsn = 1; disk_.segments.size() < 3; ++lsn) {
      append(writer, lsn, {3000});
      disk_.sync(writer);
    }
    disk_.segments[4].resize(kSegmentBytes);  // the spare
  }
  std::vector<LogDamage> damage() const {
    std::vector<ScannedSegment> ends;
    for (const auto& [number, bytes] : disk_.segments) {
      const SegmentName name{0, Incarnation{3}, number};
      ends.push_back({name, scanned(bytes, name).scan});
    }
    return find_log_damage(ends);
  }
  std::byte& last_page_of(std::uint32_t number) { return disk_.segments[number][kSegmentBytes - kPageBytes + 100]; }
  void zero(std::uint32_t number, std::uint64_t from) {
    std::vector<std::byte>& bytes = disk_.segments[number];
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), std::byte{0});
  }
  Disk disk_;
};

TEST_F(Segments, OfALogThatIsWhole) {
  EXPECT_TRUE(damage().empty());
  disk_.segments.erase(1);  // sealed
  EXPECT_TRUE(damage().empty());
}

TEST_F(Segments, ATornGroupIsDamageWhereASegmentFollows) {
  last_page_of(2) ^= std::byte{1};
  const std::vector<LogDamage> found = damage();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].segment.number, 2u);
  EXPECT_EQ(found[0].at, kSegmentBytes - kPageBytes);
  EXPECT_EQ(found[0].segments_behind, 1u);
  EXPECT_FALSE(found[0].of_a_past_run);
}

TEST_F(Segments, AGroupThatVanishedIsMissedByTheNextSegment) {
  zero(2, kSegmentBytes - 2 * kPageBytes);
  const std::vector<LogDamage> found = damage();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].at, kSegmentBytes - 2 * kPageBytes);
  EXPECT_NE(found[0].what.find("2 groups"), std::string::npos) << found[0].what;
}

TEST_F(Segments, ASegmentOfZerosBeforeOneThatHoldsGroups) {
  zero(2, 0);
  const std::vector<LogDamage> found = damage();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].segment.number, 2u);
  EXPECT_EQ(found[0].at, 0u);
}

TEST_F(Segments, TheLastOneMayBeTorn) {
  disk_.segments[3][kPageBytes + 60] ^= std::byte{1};
  EXPECT_TRUE(damage().empty());
}

// What a run left had been brought into the shards before a later run took its first edit.
TEST_F(Segments, DamageInALogThatALaterRunHasReplayedLosesNothing) {
  disk_.segments[1][2 * kPageBytes + 60] ^= std::byte{1};
  ASSERT_EQ(damage().size(), 1u);
  EXPECT_FALSE(damage()[0].of_a_past_run);
  std::vector<ScannedSegment> ends;
  const SegmentName old{0, Incarnation{3}, 1}, later{1, Incarnation{5}, 1};
  ends.push_back({old, scanned(disk_.segments.at(1), old).scan});
  WalWriter writer(1, Incarnation{5}, 1, kSegmentBytes);
  Disk disk;
  append(writer, 1, {20});
  disk.sync(writer);
  ends.push_back({later, scanned(disk.segments.at(1), later).scan});
  const std::vector<LogDamage> found = find_log_damage(ends);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].of_a_past_run);
}

}  // namespace
}  // namespace terrazzo::storage

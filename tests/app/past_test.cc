// What undo finds in the log and its history: the newest first, over the logs of all cores, whole or not at all.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/app/history_keeper.h"
#include "server/app/undo_finder.h"
#include "server/shard/log_record.h"
#include "server/storage/wal.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::app {
namespace {

namespace fs = std::filesystem;
constexpr WorldId kWorld{7};
constexpr UserId kAda{11}, kBob{12};
constexpr std::uint64_t kSecond = 1'000'000;

struct Edit {
  std::uint64_t id = 0, lsn = 0, time_us = 0;
  std::int32_t shard = 0;   // its x
  std::uint32_t parts = 0;  // of an edit over several shards
  UserId user = kAda;
};

class PastTest : public testing::Test {
 protected:
  PastTest() {
    Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(folder_ / "data");
    EXPECT_TRUE(data.ok());
    data_ = *std::move(data);
  }
  static std::vector<std::byte> payload(const Edit& edit) {
    shard::EditRequest request;
    request.origin.session = SessionId{1};
    request.origin.user = edit.user;
    request.edit.id = EditId{edit.id};
    request.time_us = edit.time_us;
    request.parts = edit.parts;
    request.coordinated = edit.parts;
    std::vector<std::byte> bytes;
    shard::encode_edit(request, 0, {shard::PreImageKind::cells, {}}, bytes);
    return bytes;
  }
  static std::vector<std::byte> segment(const io::SegmentName& name, const std::vector<Edit>& edits) {
    storage::WalWriter writer(name.core, name.incarnation, name.number, 1 << 20);
    for (const Edit& edit : edits) {
      const std::vector<std::byte> bytes = payload(edit);
      writer.append({storage::RecordKind::edit, {kWorld, edit.shard, 0}, Lsn{edit.lsn}, bytes});
    }
    const auto group = writer.next_group();
    return {group->bytes.begin(), group->bytes.end()};
  }
  void log(const io::SegmentName& name, const std::vector<Edit>& edits) {
    const std::vector<std::byte> bytes = segment(name, edits);
    fs::create_directories(fs::path(log_file(name)).parent_path());
    std::ofstream file(log_file(name), std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  void seal(const io::SegmentName& name, const std::vector<Edit>& edits) {
    const auto sealed = storage::seal_segment(segment(name, edits), name, chunks_of_record);
    ASSERT_TRUE(sealed.ok());
    ASSERT_TRUE(data_->write_history(name, sealed->file).ok());
  }
  std::string log_file(const io::SegmentName& name) const { return folder_ / ("data/" + io::file_of(name)); }
  Result<UndoFound> undo(std::optional<std::uint64_t> edit = {}) {
    UndoQuery query;
    query.world = kWorld;
    query.user = kAda;
    query.own = {SessionId{1}, EditId{1000}};
    query.time_us = 1'000'000 * kSecond;
    if (edit) query.wish.edit = shard::EditName{SessionId{1}, EditId{*edit}};
    return find_undo(*data_, query);
  }
  static std::uint64_t number(const Result<UndoFound>& found) { return found.ok() ? found->edit.edit.value : 0; }

  io::ScratchFolder folder_;
  std::unique_ptr<io::DataDirectory> data_;
};

TEST_F(PastTest, TheNewestStepIsFoundWhicheverCoreLoggedIt) {
  log({0, Incarnation{1}, 1}, {{1, 1, 10 * kSecond}, {3, 2, 30 * kSecond}});
  log({1, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 1}});
  EXPECT_EQ(number(undo()), 3u);
  EXPECT_EQ(number(undo(2)), 2u);
}

// The parts that a start rolls forward were asked for before, perhaps long before the newest edits of that log.
TEST_F(PastTest, PartsRolledForwardSayNothingOfTheSegmentsBefore) {
  log({0, Incarnation{1}, 1}, {{1, 1, 10 * kSecond}, {4, 2, 400 * kSecond}});
  seal({0, Incarnation{2}, 0}, {{2, 3, 20 * kSecond, 0, 2}});
  log({1, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 1, 2}, {3, 2, 300 * kSecond, 1}});
  EXPECT_EQ(number(undo()), 4u);
}

TEST_F(PastTest, WhatCannotBeReadIsNotTakenForTrimmed) {
  log({0, Incarnation{1}, 1}, {{1, 1, 10 * kSecond}});
  const io::SegmentName broken{0, Incarnation{1}, 2};
  fs::create_directories(log_file(broken));  // opens, and cannot be read
  const Result<UndoFound> found = undo();
  ASSERT_FALSE(found.ok()) << "the newest edit may be in the segment that could not be read";
  EXPECT_EQ(found.error().code, ErrorCode::internal);
  EXPECT_NE(found.error().message.find("try again"), std::string::npos) << found.error().message;
  fs::remove(log_file(broken));
  EXPECT_EQ(number(undo()), 1u);
}

TEST_F(PastTest, AnEditOverShardsIsTakenBackWholeOrNotAtAll) {
  log({0, Incarnation{1}, 1}, {{1, 1, 10 * kSecond, 0}, {2, 2, 20 * kSecond, 0, 3}});
  log({1, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 1, 3}});
  const Result<UndoFound> half = undo();
  ASSERT_FALSE(half.ok());
  EXPECT_EQ(half.error().code, ErrorCode::not_found);
  EXPECT_NE(half.error().message.find("over 3 shards"), std::string::npos) << half.error().message;
  EXPECT_EQ(number(undo(1)), 1u) << "others can be taken back";
  log({2, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 2, 3}});
  const Result<UndoFound> whole = undo();
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_EQ(whole->parts.size(), 3u);
}

// A segment that begins with nothing but what waited for a full disk says less of the segments before than is true.
TEST_F(PastTest, PartsThatAreMissingAreLookedForToTheEnd) {
  log({0, Incarnation{1}, 1}, {{2, 1, 100 * kSecond, 0, 2}});
  log({1, Incarnation{1}, 1}, {{2, 1, 100 * kSecond, 1, 2}});
  log({1, Incarnation{1}, 2}, {{9, 2, 20 * kSecond, 1, 0, kBob}});
  const Result<UndoFound> found = undo();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->parts.size(), 2u);
}

// Of servers that did not count them as many parts are believed in as are there.
TEST_F(PastTest, RecordsThatDoNotCountTheirPartsAreTakenBackAsTheyAre) {
  log({0, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 0}});
  log({1, Incarnation{1}, 1}, {{2, 1, 20 * kSecond, 1}});
  const Result<UndoFound> found = undo();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->parts.size(), 2u);
}

}  // namespace
}  // namespace terrazzo::app

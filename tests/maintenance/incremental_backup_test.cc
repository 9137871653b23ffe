// Backups that build on each other: what they restore must be what a backup of everything restores, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/io/durable_file.h"
#include "server/io/mmap_page_file.h"
#include "server/maintenance/backup.h"
#include "server/maintenance/backup_check.h"
#include "server/maintenance/directory_check.h"
#include "server/storage/shard_store.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;
using storage::PinKind;
using storage::ShardIdentity;
using storage::ShardStore;

constexpr ShardIdentity kIdentity{WorldId{7}, 0, 0};
const std::string kShard = "worlds/7/0_0.shard";

// All files below a folder, by path.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      all[entry.path().lexically_relative(folder).string()] = *io::read_file(entry.path().string());
  return all;
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

void expect_same(const std::string& a, const std::string& b) {
  const auto of_a = contents(a), of_b = contents(b);
  ASSERT_EQ(of_a.size(), of_b.size());
  for (const auto& [path, bytes] : of_a) {
    ASSERT_TRUE(of_b.contains(path)) << path;
    EXPECT_TRUE(bytes == of_b.at(path)) << path << ": " << bytes.size() << " and " << of_b.at(path).size() << " bytes";
  }
}

// A shard that somebody edits, in a data folder whose server does not run.
class EditedShard {
 public:
  explicit EditedShard(std::string data, std::uint64_t seed) : data_(std::move(data)), random_(seed) {
    Result<std::unique_ptr<io::DataDirectory>> made = io::DataDirectory::open(data_);
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE((*made)->write_world(kIdentity.world, "{}"));
    made = Error{};
    file_ = *io::MmapPageFile::create(data_ + "/" + kShard);
    store_ = *ShardStore::create(*file_, kIdentity);
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  void begin(std::uint32_t pages = 600) { EXPECT_TRUE(store_->begin_edit(next(store_->lsn(line_)), pages, line_)); }
  void paint(std::uint8_t layer, std::uint16_t chunk, int different) {
    begin();
    std::uint32_t* cells = store_->write(layer, chunk);
    for (int i = 0; i < 1024; ++i)
      cells[i] = static_cast<std::uint32_t>(1 + pick(static_cast<std::uint64_t>(different)));
  }
  // Any kind of edit, or what happens to versions and checkpoints between edits.
  void step() {
    const auto lines = store_->branches();
    const std::size_t of = pick(2 * lines.size() + 1);
    line_ = of < lines.size() ? lines[of] : storage::kMainHead;
    const auto layer = static_cast<std::uint8_t>(pick(3));
    const auto chunk = static_cast<std::uint16_t>(pick(4) * 4096 + pick(40));
    switch (pick(13)) {
      case 0:
        begin();
        return store_->fill_chunk(layer, chunk, static_cast<std::uint32_t>(pick(3)));
      case 1:
        begin();
        return store_->fill_region(layer, static_cast<std::uint8_t>(pick(4) * 16), static_cast<std::uint32_t>(pick(3)));
      case 2: {
        begin();
        std::vector<std::byte> bytes(pick(3) == 0 ? 0 : pick(12000));
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(pick(256));
        return store_->write_blob(2, chunk, bytes);
      }
      case 3:
        store_->pin(pick(2) == 0 ? PinKind::version : PinKind::undo_point, ++pins_, line_);
        return;
      case 4:
        return drop_a_pin();
      case 5:
        return go_back();
      case 6:
        return checkpoint();
      case 7:
        store_->reclaim(pick(3000));
        return;
      case 8:
        return branch_or_drop();
      default:
        return paint(layer, chunk, 5);
    }
  }
  void drop_a_pin() {
    const auto pins = kept();
    if (pins.size() < 4) return;
    const storage::PinInfo& pin = pins[pick(pins.size())];
    EXPECT_TRUE(store_->unpin(pin.kind, pin.id, pin.head));
  }
  void branch_or_drop() {
    const auto pins = kept();
    if (pins.empty() || (line_ != storage::kMainHead && pick(3) == 0)) {
      EXPECT_TRUE(line_ == storage::kMainHead || store_->drop_branch(line_));
    } else {
      EXPECT_TRUE(store_->add_branch(++branches_, pins[pick(pins.size())]));
    }
  }
  void go_back() {
    const auto pins = kept();
    if (pins.empty()) return;
    begin();
    const int x = static_cast<int>(pick(16));
    const storage::PinInfo pin = pins[pick(pins.size())];
    store_->restore(pin, static_cast<std::uint8_t>(pick(3)), {x, 0, x + 20, 256});
  }
  void checkpoint() {
    Result<storage::CheckpointStep> step =
        store_->begin_checkpoint(std::make_unique<storage::AuxBytes>(std::vector<std::byte>(24)));
    while (step.ok() && *step != storage::CheckpointStep::done)
      step = *step == storage::CheckpointStep::work ? store_->checkpoint_work(1000) : store_->checkpoint_synced({});
    EXPECT_TRUE(step.ok());
  }

  // As a running server does it: of a version that goes afterwards.
  void back_up(const std::vector<std::pair<std::string, std::string>>& name_and_since) {
    const std::vector<storage::PinInfo> older = kept();
    std::vector<storage::BranchState> branches;
    for (const storage::HeadId head : store_->branches()) {
      const storage::PinInfo& cut = store_->pin(PinKind::version, kCut, head);
      branches.push_back({head, cut.lsn, cut.top});
    }
    const storage::PinInfo cut = store_->pin(PinKind::version, kCut);
    const ShardImage image{kIdentity, cut.lsn, cut.top, branches, older, std::vector<std::byte>(24)};
    for (const auto& [name, since] : name_and_since) {
      Result<BackupWriter> writer = BackupWriter::create(name, since);
      ASSERT_TRUE(writer.ok()) << writer.error().message;
      ASSERT_TRUE(writer->add_text("worlds/7/world.json", "{}"));
      const Status added = writer->add_shard(kShard, data_ + "/" + kShard, image);
      ASSERT_TRUE(added.ok()) << added.error().message;
      ASSERT_TRUE(writer->finish());
    }
    EXPECT_TRUE(store_->unpin(PinKind::version, kCut));
    for (const storage::BranchState& branch : branches) EXPECT_TRUE(store_->unpin(PinKind::version, kCut, branch.head));
  }
  // As of a stopped server.
  void back_up_closed(const std::string& name, const std::string& since) {
    checkpoint();
    const auto data = io::DataDirectory::look_at(data_);
    const Status done = backup_directory(**data, name, since, {});
    ASSERT_TRUE(done.ok()) << done.error().message;
  }

  ShardStore& store() { return *store_; }

 private:
  std::vector<storage::PinInfo> kept() const {
    std::vector<storage::PinInfo> pins = store_->pins();
    std::erase_if(pins, [](const storage::PinInfo& pin) { return pin.dropping; });
    return pins;
  }

  std::string data_;
  std::mt19937_64 random_;
  std::unique_ptr<io::MmapPageFile> file_;
  std::unique_ptr<ShardStore> store_;
  static constexpr std::uint64_t kCut = 1'000'000;
  std::uint64_t pins_ = 0;
  storage::HeadId line_ = storage::kMainHead, branches_ = 0;
};

void restore(const std::string& backup, const std::string& to) {
  const Status restored = restore_backup(backup, to, {});
  ASSERT_TRUE(restored.ok()) << restored.error().message;
}

// Chunks of a line hold what they do in the shard, revisions included.
void expect_same_line(const ShardStore& restored, const ShardStore& source, storage::HeadId line) {
  ASSERT_EQ(restored.lsn(line), source.lsn(line));
  for (unsigned layer = 0; layer < 3; ++layer) {
    for (unsigned at = 0; at < 65536; at += (at % 4096 == 63 ? 4096 - 63 : 1)) {
      const auto here = static_cast<std::uint16_t>(at);
      const auto level = static_cast<std::uint8_t>(layer);
      const storage::ChunkRead is = restored.read(level, here, line), was = source.read(level, here, line);
      ASSERT_EQ(is.revision, was.revision) << "line " << line << ", " << layer << " " << at;
      ASSERT_EQ(is.fill, was.fill);
      ASSERT_EQ(is.cells == nullptr, was.cells == nullptr);
      if (is.cells != nullptr) {
        ASSERT_TRUE(std::equal(is.cells, is.cells + 1024, was.cells)) << layer << " " << at;
      }
      ASSERT_EQ(restored.read_blob(level, here, line), source.read_blob(level, here, line));
    }
  }
}

// Every page is proven, and all lines hold what the shard had them hold.
void expect_holds(const std::string& restored, const ShardStore& source, bool closed) {
  const auto file = io::MmapPageFile::open(restored + "/" + kShard);
  ASSERT_TRUE(file.ok());
  const auto store = ShardStore::open(**file, kIdentity);
  ASSERT_TRUE(store.ok()) << store.error().message;
  const Status verified = (*store)->verify({}, true);
  ASSERT_TRUE(verified.ok()) << verified.error().message;
  EXPECT_TRUE(closed || (*store)->pages().free == 0);
  ASSERT_EQ((*store)->branches(), source.branches());
  ASSERT_NO_FATAL_FAILURE(expect_same_line(**store, source, storage::kMainHead));
  for (const storage::HeadId branch : source.branches())
    ASSERT_NO_FATAL_FAILURE(expect_same_line(**store, source, branch));
}

std::uint64_t seed() {
  const char* given = std::getenv("TERRAZZO_BACKUP_SEED");
  const std::uint64_t seed = given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
  std::printf("TERRAZZO_BACKUP_SEED=%llu\n", static_cast<unsigned long long>(seed));
  testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

TEST(IncrementalBackup, AChainRestoresWhatAFullBackupRestoresWhateverWasEdited) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", seed());
  std::string since;
  for (int round = 0; round < 12; ++round) {
    for (std::uint64_t steps = shard.pick(80); steps > 0; --steps) shard.step();
    const std::string number = std::to_string(round), part = scratch / ("part" + number),
                      full = scratch / ("full" + number);
    ASSERT_NO_FATAL_FAILURE(shard.back_up({{part, since}, {full, ""}}));
    ASSERT_NO_FATAL_FAILURE(restore(part, scratch / ("a" + number)));
    ASSERT_NO_FATAL_FAILURE(restore(full, scratch / ("b" + number)));
    ASSERT_NO_FATAL_FAILURE(expect_same(scratch / ("a" + number), scratch / ("b" + number))) << "round " << round;
    ASSERT_NO_FATAL_FAILURE(expect_holds(scratch / ("a" + number), shard.store(), false));
    since = part;
  }
}

TEST(IncrementalBackup, AChainOfThreeOfAStoppedServerIsTheSameToo) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", seed());
  for (int i = 0; i < 60; ++i) shard.step();
  ASSERT_NO_FATAL_FAILURE(shard.back_up_closed(scratch / "one", ""));
  for (int i = 0; i < 60; ++i) shard.step();
  ASSERT_NO_FATAL_FAILURE(shard.back_up_closed(scratch / "two", scratch / "one"));
  for (int i = 0; i < 60; ++i) shard.step();
  ASSERT_NO_FATAL_FAILURE(shard.back_up_closed(scratch / "three", (scratch / "two") + "/"));
  ASSERT_NO_FATAL_FAILURE(shard.back_up_closed(scratch / "whole", ""));
  ASSERT_NO_FATAL_FAILURE(restore(scratch / "three", scratch / "a"));
  ASSERT_NO_FATAL_FAILURE(restore(scratch / "whole", scratch / "b"));
  expect_same(scratch / "a", scratch / "b");
  ASSERT_NO_FATAL_FAILURE(expect_holds(scratch / "a", shard.store(), true));
  // Their files that did not change are there once.
  EXPECT_TRUE(fs::exists(scratch / "one/worlds/7/world.json.zst"));
  EXPECT_FALSE(fs::exists(scratch / "two/worlds/7/world.json.zst"));
}

TEST(IncrementalBackup, AMissingBaseAndAnotherOneAreNamed) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", 1);
  shard.paint(0, 1, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "one", ""}}));
  shard.paint(0, 2, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "two", scratch / "one"}, {scratch / "other", ""}}));
  shard.paint(0, 3, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "three", scratch / "two"}}));

  fs::rename(scratch / "one", scratch / "away");
  Status restored = restore_backup(scratch / "three", scratch / "to", {});
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::not_found);
  EXPECT_NE(restored.error().message.find("\"one\", which is missing"), std::string::npos) << restored.error().message;
  EXPECT_FALSE(BackupWriter::create(scratch / "four", scratch / "three").ok()) << "nobody could restore it";

  fs::copy(scratch / "other", scratch / "one", fs::copy_options::recursive);
  restored = restore_backup(scratch / "three", scratch / "to", {});
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::conflict);
  EXPECT_NE(restored.error().message.find("another backup than"), std::string::npos) << restored.error().message;
  EXPECT_FALSE(fs::exists(scratch / "to"));

  fs::remove_all(scratch / "one");
  fs::rename(scratch / "away", scratch / "one");
  EXPECT_TRUE(restore_backup(scratch / "three", scratch / "to", {}));

  const Result<BackupWriter> elsewhere = BackupWriter::create(scratch / "sub/five", scratch / "one");
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_EQ(elsewhere.error().code, ErrorCode::bad_message);
  EXPECT_EQ(BackupWriter::create(scratch / "five", scratch / "nowhere").error().code, ErrorCode::not_found);
}

TEST(IncrementalBackup, AnotherFormatIsRefusedInWords) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", 1);
  shard.paint(0, 1, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "one", ""}}));
  const std::string manifest = scratch / "one/manifest.json";
  std::string text = *io::read_file(manifest);
  const std::size_t at = text.find("\"format\": 2");
  ASSERT_NE(at, std::string::npos) << text;
  text[at + 10] = '3';
  std::ofstream(manifest) << text;
  const Status restored = restore_backup(scratch / "one", scratch / "to", {});
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::unsupported);
  EXPECT_EQ(restored.error().message, manifest + " has format 3, this program knows 2: use the version that wrote it");
  EXPECT_FALSE(fs::exists(scratch / "to"));
}

TEST(IncrementalBackup, ADamagedByteAnywhereInTheChainIsFound) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", 1);
  for (std::uint16_t chunk = 0; chunk < 20; ++chunk) shard.paint(0, chunk, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "one", ""}}));
  shard.paint(0, 2, 9);
  ASSERT_NO_FATAL_FAILURE(shard.back_up({{scratch / "two", scratch / "one"}}));
  int files = 0;
  for (const char* backup : {"one", "two"}) {
    for (const auto& entry : fs::recursive_directory_iterator(scratch / backup)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      const std::string file = entry.path().string(), whole = *io::read_file(file);
      std::string damaged = whole;
      damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
      std::ofstream(file, std::ios::binary) << damaged;
      EXPECT_FALSE(restore_backup(scratch / "two", scratch / "to", {}).ok()) << file;
      const Result<BackupCheck> check = check_backup(scratch / "two");
      EXPECT_TRUE(!check.ok() || !check->findings.empty()) << file;
      EXPECT_FALSE(fs::exists(scratch / "to"));
      std::ofstream(file, std::ios::binary) << whole;
    }
  }
  EXPECT_EQ(files, 7);  // two manifests, world.json once, trees and cells twice
  const Result<BackupCheck> check = check_backup(scratch / "two");
  ASSERT_TRUE(check.ok()) << check.error().message;
  EXPECT_TRUE(check->findings.empty()) << check->findings.front();
  EXPECT_EQ(check->backups, 2u);
  EXPECT_TRUE(restore_backup(scratch / "two", scratch / "to", {}));
}

// TERRAZZO_BACKUP_CHUNKS: as many as a world has (default 8192); figures for docs/decisions.
TEST(IncrementalBackup, OnePercentOfChangesTakesAboutOnePercentOfTheBytes) {
  const io::ScratchFolder scratch;
  EditedShard shard(scratch / "data", 1);
  const char* given = std::getenv("TERRAZZO_BACKUP_CHUNKS");
  const std::uint64_t chunks = given == nullptr ? 8192 : std::strtoull(given, nullptr, 10);
  for (std::uint64_t i = 0; i < chunks; ++i)
    shard.paint(static_cast<std::uint8_t>(i >> 16), static_cast<std::uint16_t>(i), 12);
  shard.checkpoint();
  const auto timed = [&](const std::string& name, const std::string& since) {
    const auto before = std::chrono::steady_clock::now();
    shard.back_up({{name, since}});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
    std::printf("%s: %llu bytes, %.2f s\n", fs::path(name).filename().c_str(),
                static_cast<unsigned long long>(bytes_in(name)), took.count());
    return bytes_in(name);
  };
  const std::uint64_t full = timed(scratch / "full", "");
  // Anywhere, which is worse than side by side: nearly every leaf has one that changed.
  std::set<std::uint64_t> changed;
  while (changed.size() < chunks / 100) changed.insert(shard.pick(chunks));
  for (const std::uint64_t i : changed)
    shard.paint(static_cast<std::uint8_t>(i >> 16), static_cast<std::uint16_t>(i), 12);
  const std::uint64_t part = timed(scratch / "part", scratch / "full");
  EXPECT_LT(part, full * 13 / 1000);
  EXPECT_GT(part, full * 9 / 1000);
  const std::uint64_t nothing = timed(scratch / "nothing", scratch / "part");
  EXPECT_LT(nothing, 4000 + full / 1000);
  for (const char* name : {"full", "nothing"}) {
    const auto before = std::chrono::steady_clock::now();
    ASSERT_NO_FATAL_FAILURE(restore(scratch / name, (scratch / name) + " restored"));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
    std::printf("%s restored: %llu bytes, %.2f s\n", name,
                static_cast<unsigned long long>(bytes_in((scratch / name) + " restored")), took.count());
  }
}

}  // namespace
}  // namespace terrazzo::maintenance

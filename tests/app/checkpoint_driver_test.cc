// When a shard's root is written: not before the log has all that it shows on disk.
#include "server/app/checkpoint_driver.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "server/shard/shard_router.h"
#include "tests/io/scratch_folder.h"
#include "tests/shard/recording_output.h"

namespace terrazzo::app {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kLongNs = 100'000'000'000;
std::uint64_t now_ns = 1;

// Completes what the test says.
class HeldFiles final : public runtime::FileQueue {
 public:
  struct Operation {
    int fd;
    runtime::Completion* done;
  };
  void write_and_datasync(int fd, std::span<const std::byte>, std::uint64_t, runtime::Completion* done) override {
    writes.push_back({fd, done});
  }
  void datasync(int fd, runtime::Completion* done) override { syncs.push_back({fd, done}); }
  static void finish(std::vector<Operation>& some, std::int32_t result = 0) {
    const Operation first = some.front();
    some.erase(some.begin());
    first.done->complete(result, 0);
  }
  std::vector<Operation> writes, syncs;
};

class Checkpoints : public testing::Test {
 protected:
  // A log whose folder has a file's name in the way can make no segment.
  explicit Checkpoints(bool has_space = true) {
    now_ns = 1;
    node_.config.segment_mib = 1;
    node_.config.publish_ms = 0;
    Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(folder_ / "data");
    EXPECT_TRUE(data.ok());
    node_.data = *std::move(data);
    node_.incarnation = node_.data->incarnation();
    node_.workers = std::make_unique<WorkerPool>(0, 1, [](unsigned) {});
    node_.page_workers = std::make_unique<WorkerPool>(0, 1, [](unsigned) {});
    auto world = std::make_shared<map::World>();
    world->id = key_.world;
    world->name = "w";
    world->layers.resize(1);
    world->tilesets.resize(1);
    world->tilesets[0].tile_count = 100;
    EXPECT_TRUE(node_.worlds.add(world).ok());
    if (!has_space) std::ofstream(folder_ / "data/wal/core-00").close();
    log_ = std::make_unique<LogDriver>(
        node_, 0, files_, +[] { return now_ns; });
    work();
    Result<ShardSlot*> slot = shards_.open(key_, create_shard_file(node_, key_));
    EXPECT_TRUE(slot.ok());
    slot_ = *slot;
    driver_ = std::make_unique<CheckpointDriver>(shards_, *log_, files_, pages_);
  }
  ~Checkpoints() override {
    node_.workers.reset();
    node_.page_workers.reset();
  }
  void work() {
    for (WorkerPool* pool : {node_.workers.get(), node_.page_workers.get()}) {
      while (pool->run_one()) {
      }
      pool->collect(0);
    }
  }
  void edit() {
    const map::Op op{map::OpKind::fill, 0, map::Rect::of_size(0, 0, 8, 8), map::Cell{5}, {}, {}};
    auto parts =
        shard::split_edit(key_.world, {SessionId{1}, 0, 0, 0}, {EditId{++edits_}, map::AckMode::durable, {&op, 1}, {}});
    slot_->shard->edit(*parts->front(), out_);
    slot_->logged = log_->append(out_.records.back().view());
    log_->submit(now_ns);
  }
  // Until the driver has nothing to do but wait.
  void advance() {
    for (int i = 0; i < 100; ++i) {
      now_ns += kLongNs;
      driver_->advance(now_ns);
      work();
    }
  }
  bool on_disk() const { return slot_->shard->store()->generation() != 0; }

  io::ScratchFolder folder_;
  Node node_;
  const shard::ShardKey key_{WorldId{7}, {0, 0}};
  HeldFiles files_;
  proto::Encoder encoder_;
  ShardTable shards_{node_, encoder_};
  PageBringer pages_{node_, 0};
  shard::RecordingOutput out_;
  std::unique_ptr<LogDriver> log_;
  std::unique_ptr<CheckpointDriver> driver_;
  ShardSlot* slot_ = nullptr;
  std::uint64_t edits_ = 0;
};

TEST_F(Checkpoints, ARootWaitsForTheLog) {
  edit();
  advance();
  ASSERT_EQ(files_.syncs.size(), 1u) << "the pages";
  HeldFiles::finish(files_.syncs);
  advance();
  EXPECT_TRUE(files_.syncs.empty()) << "the root, before the log";
  EXPECT_FALSE(driver_->wants_a_step()) << "the core would not sleep";
  HeldFiles::finish(files_.writes);
  ASSERT_TRUE(log_->take_completed());
  EXPECT_TRUE(driver_->wants_a_step());
  advance();
  ASSERT_EQ(files_.syncs.size(), 1u);
  HeldFiles::finish(files_.syncs);
  advance();
  EXPECT_TRUE(on_disk());
  EXPECT_EQ(slot_->covered, 1u);
}

// Edits that came after the state was pinned are not in the root.
TEST_F(Checkpoints, ARootDoesNotWaitForLaterEdits) {
  edit();
  HeldFiles::finish(files_.writes);
  ASSERT_TRUE(log_->take_completed());
  advance();
  edit();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(files_.syncs.size(), 1u);
    HeldFiles::finish(files_.syncs);
    advance();
  }
  EXPECT_TRUE(on_disk());
}

TEST_F(Checkpoints, NoRootIsWrittenAfterTheLogHasFailed) {
  edit();
  advance();
  HeldFiles::finish(files_.syncs);
  HeldFiles::finish(files_.writes, -EIO);
  ASSERT_TRUE(log_->take_completed());
  advance();
  EXPECT_TRUE(files_.syncs.empty());
  EXPECT_FALSE(on_disk());
  EXPECT_TRUE(slot_->no_checkpoints);
  EXPECT_FALSE(driver_->running());
}

class CheckpointsOfAFullDisk : public Checkpoints {
 protected:
  CheckpointsOfAFullDisk() : Checkpoints(false) {}
};

// Segments become free by checkpoints alone.
TEST_F(CheckpointsOfAFullDisk, ARootGoesBeforeALogThatWaitsForSpace) {
  edit();
  ASSERT_TRUE(log_->lacks_space());
  advance();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(files_.syncs.size(), 1u);
    HeldFiles::finish(files_.syncs);
    advance();
  }
  EXPECT_TRUE(on_disk());
}

}  // namespace
}  // namespace terrazzo::app

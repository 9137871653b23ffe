#include "server/app/checkpoint_driver.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "map/world.h"
#include "tests/io/scratch_folder.h"
#include "tests/shard/recording_output.h"

namespace terrazzo::app {
namespace {

constexpr WorldId kWorld{7};

// Notes what is asked for, and completes it when the test says so.
class HeldFiles final : public runtime::FileQueue {
 public:
  void write_and_datasync(int, std::span<const std::byte> bytes, std::uint64_t, runtime::Completion* done) override {
    writes.push_back({done, static_cast<std::int32_t>(bytes.size())});
  }
  void datasync(int, runtime::Completion* done) override { syncs.push_back({done, 0}); }
  void populate(std::span<const std::byte>, runtime::Completion*) override {}

  struct Held {
    runtime::Completion* done;
    std::int32_t result;
  };
  static void complete(std::vector<Held>& held) {
    for (const Held& each : std::exchange(held, {})) each.done->complete(each.result, 0);
  }
  std::vector<Held> writes, syncs;
};

// One shard with an edit whose log record is on its way to the disk.
class CheckpointBesideLog : public testing::Test {
 protected:
  CheckpointBesideLog() {
    node_.config.segment_mib = 1;
    node_.data = *io::DataDirectory::open(folder_ / "data");
    node_.incarnation = node_.data->incarnation();
    node_.workers = std::make_unique<WorkerPool>(1, 1, [](unsigned) {});
    node_.page_workers = std::make_unique<WorkerPool>(1, 1, [](unsigned) {});
    auto world = std::make_shared<map::World>();
    world->id = kWorld;
    world->layers.resize(1);
    world->layers[0].id = 1;
    world->tilesets.resize(1);
    world->tilesets[0].tile_count = 10;
    EXPECT_TRUE(node_.worlds.add(std::move(world)));
    EXPECT_TRUE(node_.data->make_shard_folder(kWorld));
    shards_ = std::make_unique<ShardTable>(node_, encoder_);
    log_ = std::make_unique<LogDriver>(node_, 0, files_);
    finish_work();
    pages_ = std::make_unique<PageBringer>(node_, shard::CoreId{0});
    driver_ = std::make_unique<CheckpointDriver>(*shards_, *log_, files_, *pages_);
    const auto opened = shards_->find_or_open_unrecovered({kWorld, {0, 0}});
    EXPECT_TRUE(opened.ok());
    slot_ = *opened;
    slot_->shard->recovered();
    shard::EditRequest request;
    request.shard = {kWorld, {0, 0}};
    request.origin.session = SessionId{1};
    request.edit.id = EditId{1};
    const map::Op op{map::OpKind::fill, 1, map::Rect::of_size(0, 0, 4, 4), map::Cell{3}, {}, {}};
    request.edit.ops = {&op, 1};
    slot_->shard->edit(request, out_);
    EXPECT_EQ(out_.records.size(), 1u);
    slot_->logged = log_->append(out_.records.back().view());
    log_->submit(now_ns_);
    finish_work();
    log_->submit(now_ns_);
    driver_->hurry();
  }
  ~CheckpointBesideLog() override {
    node_.workers.reset();
    node_.page_workers.reset();
  }
  void finish_work() {
    while (!node_.workers->idle()) node_.workers->collect(0);
  }
  void advance() {
    for (int i = 0; i < 20; ++i) driver_->advance(now_ns_);
  }

  io::ScratchFolder folder_;
  Node node_;
  proto::Encoder encoder_;
  HeldFiles files_;
  shard::RecordingOutput out_;
  std::unique_ptr<ShardTable> shards_;
  std::unique_ptr<LogDriver> log_;
  std::unique_ptr<PageBringer> pages_;
  std::unique_ptr<CheckpointDriver> driver_;
  ShardSlot* slot_ = nullptr;
  std::uint64_t now_ns_ = 1'000'000'000'000;
};

TEST_F(CheckpointBesideLog, WritesNoRootThatIsAheadOfTheLog) {
  ASSERT_EQ(files_.writes.size(), 1u);
  advance();
  ASSERT_EQ(files_.syncs.size(), 1u) << "pages go to the disk meanwhile";
  HeldFiles::complete(files_.syncs);
  advance();
  EXPECT_TRUE(files_.syncs.empty()) << "the root waits";
  EXPECT_FALSE(driver_->wants_a_step()) << "and nobody spins meanwhile";
  HeldFiles::complete(files_.writes);
  ASSERT_TRUE(log_->take_completed());
  advance();
  ASSERT_EQ(files_.syncs.size(), 1u);
  HeldFiles::complete(files_.syncs);
  advance();
  EXPECT_EQ(driver_->done(), 1u);
  EXPECT_EQ(slot_->covered, slot_->logged);
}

TEST_F(CheckpointBesideLog, WaitsForASecondAtMost) {
  advance();
  HeldFiles::complete(files_.syncs);
  advance();
  EXPECT_TRUE(files_.syncs.empty());
  now_ns_ += 999'000'000;
  advance();
  EXPECT_TRUE(files_.syncs.empty());
  now_ns_ += 1'000'000;
  advance();
  EXPECT_EQ(files_.syncs.size(), 1u) << "a log without disk space may need what the checkpoint gives back";
}

TEST_F(CheckpointBesideLog, DoesNotWaitForALogThatFailed) {
  advance();
  HeldFiles::complete(files_.syncs);
  advance();
  EXPECT_TRUE(files_.syncs.empty());
  for (HeldFiles::Held& write : files_.writes) write.result = -EIO;
  HeldFiles::complete(files_.writes);
  log_->take_completed();
  ASSERT_TRUE(log_->failed());
  advance();
  EXPECT_EQ(files_.syncs.size(), 1u);
}

}  // namespace
}  // namespace terrazzo::app

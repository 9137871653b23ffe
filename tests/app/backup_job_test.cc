#include "server/app/backup_job.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include "tests/io/scratch_folder.h"

namespace terrazzo::app {
namespace {

namespace fs = std::filesystem;

// A core that pins worlds without having any shards open, and can be told to fail.
class RecordingCore final : public BackupJobOutput {
 public:
  void pin_world(WorldId world, const std::string&, std::function<void(Result<std::uint64_t>)> done) override {
    if (world == refuses) return done(Error{ErrorCode::read_only, "its log failed"});
    order.push_back(world);
    pinned.insert(world);
    done(std::uint64_t{3});
  }
  void unpin_world(WorldId world, std::uint64_t version, std::function<void(Status)> done) override {
    EXPECT_EQ(version, 3u);
    pinned.erase(world);
    done({});
  }
  void gather_content(const std::vector<shard::LineVersion>& lines,
                      std::function<void(Result<std::unique_ptr<PinsGather>>)> done) override {
    EXPECT_EQ(lines.back().line, WorldId{7});
    if (gathering) gathering();
    if (problem) return done(*problem);
    auto found = std::make_unique<PinsGather>();
    found->found.resize(1);  // a shard that was born after the version
    done(std::move(found));
  }

  std::set<WorldId> pinned;
  std::vector<WorldId> order;
  std::optional<WorldId> refuses;
  std::optional<Error> problem;
  std::function<void()> gathering;
};

class BackupJobTest : public testing::Test {
 protected:
  BackupJobTest() {
    node_.config.data_dir = folder_ / "data";
    Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(node_.config.data_dir);
    EXPECT_TRUE(data.ok());
    node_.data = *std::move(data);
    node_.workers = std::make_unique<WorkerPool>(1, 1, [this](unsigned) {
      const std::lock_guard lock(mutex_);
      ++results_;
      changed_.notify_all();
    });
    auto world = std::make_shared<map::World>();
    world->id = WorldId{7};
    world->name = "w";
    EXPECT_TRUE(node_.data->write_world(world->id, "{}"));
    EXPECT_TRUE(node_.worlds.add(world));
  }
  ~BackupJobTest() override {
    release_worker();
    node_.workers.reset();
  }

  void back_up(const std::string& name) {
    ASSERT_TRUE(node_.backups.begin(name));
    std::make_shared<BackupJob>(node_, shard::CoreId{0}, core_, name, "")->start();
    while (node_.backups.info().running) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return results_ > 0; });
      --results_;
      lock.unlock();
      node_.workers->collect(0);
    }
  }
  // The one worker hangs, and as many jobs wait as the queue takes.
  void fill_queue() {
    std::atomic<bool> hangs{false};
    ASSERT_TRUE(node_.workers->submit(0, [this, &hangs]() -> WorkerPool::Done {
      std::unique_lock lock(mutex_);
      hangs = true;
      hangs.notify_all();
      changed_.wait(lock, [this] { return released_; });
      return {};
    }));
    hangs.wait(false);
    while (node_.workers->submit(0, [] { return WorkerPool::Done(); })) {
    }
  }
  void release_worker() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  std::string backup(const std::string& name) const { return node_.config.backup_folder() + "/" + name; }

  io::ScratchFolder folder_;
  Node node_;
  RecordingCore core_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int results_ = 0;
  bool released_ = false;
};

TEST_F(BackupJobTest, OneThatIsCompleteHasItsNameAndLetsTheWorldGo) {
  back_up("night");
  EXPECT_EQ(node_.backups.info().problem, "");
  EXPECT_TRUE(fs::exists(backup("night") + "/manifest.json"));
  EXPECT_TRUE(core_.pinned.empty());
}

// A branch began at a version of its parent: whatever is pinned last has it.
TEST_F(BackupJobTest, BranchesArePinnedBeforeTheMainLineAndAreNotDroppedMeanwhile) {
  const auto branch = node_.branches.decide(WorldId{7}, "b", "me", 0, 1, true);
  ASSERT_TRUE(branch.ok());
  node_.branches.commit(*branch);
  core_.gathering = [&] { EXPECT_TRUE(node_.backups.is_copied(WorldId{7})); };
  back_up("night");
  EXPECT_EQ(node_.backups.info().problem, "");
  EXPECT_EQ(core_.order, (std::vector<WorldId>{branch->world, WorldId{7}}));
  EXPECT_TRUE(core_.pinned.empty());
  EXPECT_FALSE(node_.backups.is_copied(WorldId{7}));
  for (const char* list : {"branches", "versions", "versions-1"})
    EXPECT_TRUE(fs::exists(backup("night") + "/worlds/7/" + list + ".json.zst")) << list;
}

TEST_F(BackupJobTest, WhenTheMainLineCannotBePinnedTheBranchesAreLetGo) {
  const auto branch = node_.branches.decide(WorldId{7}, "b", "me", 0, 1, true);
  ASSERT_TRUE(branch.ok());
  node_.branches.commit(*branch);
  core_.refuses = WorldId{7};
  back_up("night");
  EXPECT_EQ(node_.backups.info().problem, "its log failed");
  EXPECT_TRUE(core_.pinned.empty());
  EXPECT_FALSE(node_.backups.is_copied(WorldId{7}));
}

TEST_F(BackupJobTest, WhenAShardCannotBeOpenedTheWorldIsLetGoAndNothingIsLeft) {
  core_.problem = Error{ErrorCode::internal, "0_0.shard is damaged"};
  back_up("night");
  EXPECT_EQ(node_.backups.info().problem, "0_0.shard is damaged");
  EXPECT_TRUE(core_.pinned.empty());
  EXPECT_TRUE(fs::is_empty(node_.config.backup_folder()));
  core_.problem.reset();
  back_up("night");
  EXPECT_EQ(node_.backups.info().problem, "") << "its name is free";
}

TEST_F(BackupJobTest, WhenTooMuchFileWorkWaitsTheWorldIsLetGo) {
  core_.gathering = [this] { fill_queue(); };
  back_up("night");
  EXPECT_NE(node_.backups.info().problem.find("more file work waiting"), std::string::npos);
  EXPECT_TRUE(core_.pinned.empty());
  release_worker();
  EXPECT_FALSE(fs::exists(backup("night")));
}

TEST_F(BackupJobTest, AServerThatStopsDoesNotWaitForABackup) {
  core_.gathering = [this] { node_.draining = true; };
  back_up("night");
  EXPECT_NE(node_.backups.info().problem.find("the server was stopped"), std::string::npos);
  EXPECT_TRUE(core_.pinned.empty());
  EXPECT_TRUE(fs::is_empty(node_.config.backup_folder()));
}

TEST_F(BackupJobTest, AWorldWhoseShardsCannotBeListedIsAnError) {
  const std::string world = node_.config.data_dir + "/worlds/7";
  fs::remove_all(world);
  std::ofstream(world) << "no folder";
  back_up("night");
  EXPECT_NE(node_.backups.info().problem.find(world), std::string::npos) << node_.backups.info().problem;
  EXPECT_TRUE(fs::is_empty(node_.config.backup_folder()));
}

}  // namespace
}  // namespace terrazzo::app

#include "server/maintenance/partial_folder.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/maintenance/backup.h"
#include "tests/io/scratch_folder.h"

namespace {

// What was synced, in order, by name.
std::vector<std::string> synced;

}  // namespace

// In front of the C library's: what a power cut would leave cannot be seen otherwise.
extern "C" int fsync(int fd) {
  char name[4096];
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
  if (size > 0) synced.emplace_back(name, static_cast<std::size_t>(size));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;
using io::ScratchFolder;

std::ptrdiff_t first_sync_of(const std::string& name) {
  return std::ranges::find(synced, name) - synced.begin();
}

TEST(PartialFolder, ABackupsFilesAndFoldersAreOnDiskBeforeItsManifestSaysSo) {
  const ScratchFolder scratch;
  const std::string root = fs::canonical(scratch / "."), backup = root + "/backup", partial = backup + ".partial";
  Result<BackupWriter> writer = BackupWriter::create(backup);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->add_text("worlds/7/world.json", "{}"));
  ASSERT_TRUE(writer->add_text("worlds/7/versions.json", "{}"));
  synced.clear();
  ASSERT_TRUE(writer->finish());
  const auto manifest = std::ranges::find_if(
      synced, [](const std::string& name) { return name.find("manifest.json") != std::string::npos; });
  ASSERT_NE(manifest, synced.end());
  const std::ptrdiff_t at = manifest - synced.begin();
  EXPECT_LT(first_sync_of(partial), at);
  EXPECT_LT(first_sync_of(partial + "/worlds"), at);
  EXPECT_LT(first_sync_of(partial + "/worlds/7"), at);
  EXPECT_LT(first_sync_of(root), std::ssize(synced)) << "its name";
  EXPECT_FALSE(fs::exists(partial));
  EXPECT_FALSE(fs::exists(backup + "/UNFINISHED"));
}

TEST(PartialFolder, AnUnfinishedBackupLeavesNothingAndItsNameIsFree) {
  const ScratchFolder scratch;
  const std::string backup = scratch / "night";
  {
    Result<BackupWriter> writer = BackupWriter::create(backup);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->add_text("node.json", "{}"));
    EXPECT_FALSE(fs::exists(backup));
    EXPECT_FALSE(writer->add_file("worlds/7/world.json", scratch / "nothing"));
    const Result<BackupWriter> second = BackupWriter::create(backup);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, ErrorCode::conflict) << "two at once";
  }
  EXPECT_TRUE(fs::is_empty(scratch / "."));
  Result<BackupWriter> again = BackupWriter::create(backup);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->finish());
  EXPECT_TRUE(fs::exists(backup + "/manifest.json"));
}

TEST(PartialFolder, WhatACrashLeftGoesAndNothingElse) {
  const ScratchFolder scratch;
  const std::string root = scratch / ".";
  // A crash while two were made: one had its mark, one not yet.
  fs::create_directories(root + "/night.partial/worlds/7");
  std::ofstream(root + "/night.partial/UNFINISHED").close();
  fs::create_directory(root + "/noon.partial");
  // Not ours, and one that is being made.
  fs::create_directories(root + "/photos.partial");
  std::ofstream(root + "/photos.partial/1.png").close();
  fs::create_directory(root + "/night");
  const Result<PartialFolder> running = PartialFolder::begin(root + "/running");
  ASSERT_TRUE(running.ok());
  ASSERT_TRUE(remove_partial_folders(root));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(root)) left.push_back(entry.path().filename());
  std::ranges::sort(left);
  EXPECT_EQ(left, (std::vector<std::string>{"night", "photos.partial", "running.partial"}));
  EXPECT_TRUE(remove_partial_folders(root + "/nowhere"));
  EXPECT_EQ(PartialFolder::begin(root + "/photos").error().code, ErrorCode::conflict);
}

}  // namespace
}  // namespace terrazzo::maintenance

#include "server/io/mmap_page_file.h"

#include "server/storage/shard_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/io/scratch_folder.h"

namespace terrazzo::io {
namespace {

using storage::kPageBytes;

std::uint64_t bytes_on_disk(int fd) {
  struct stat about {};
  EXPECT_EQ(::fstat(fd, &about), 0);
  return static_cast<std::uint64_t>(about.st_blocks) * 512;
}

std::uint64_t file_size(int fd) {
  struct stat about {};
  EXPECT_EQ(::fstat(fd, &about), 0);
  return static_cast<std::uint64_t>(about.st_size);
}

// Files of this process end at `bytes`: as a full disk, from the file's side, wherever the test runs.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t bytes) {
    before_signal_ = std::signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, before_signal_);
  }

 private:
  rlimit before_{};
  void (*before_signal_)(int) = nullptr;
};

TEST(MmapPageFile, GrowsInPlaceWithoutHoles) {
  ScratchFolder folder;
  Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(folder / "a.shard");
  ASSERT_TRUE(made.ok()) << made.error().message;
  MmapPageFile& file = **made;
  EXPECT_EQ(file.page_count(), 0u);
  std::byte* const base = file.base();
  for (storage::PageNo pages = 64; pages <= 4096; pages *= 2) {
    const Status grown = file.grow(pages);
    ASSERT_TRUE(grown.ok()) << grown.error().message;
    EXPECT_EQ(file.page_count(), pages);
    EXPECT_EQ(file.base(), base);
    EXPECT_GE(bytes_on_disk(file.fd()), std::uint64_t{pages} * kPageBytes);
    file.base()[std::size_t{pages} * kPageBytes - 1] = std::byte{7};
  }
  ASSERT_TRUE(file.grow(10).ok()) << "at least so many: never fewer";
  EXPECT_EQ(file.page_count(), 4096u);
}

TEST(MmapPageFile, WhatWasWrittenIsThereAfterOpening) {
  ScratchFolder folder;
  const std::string path = folder / "a.shard";
  {
    Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(path);
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE((*made)->grow(8).ok());
    std::memset((*made)->base() + 5 * kPageBytes, 0x5a, kPageBytes);
    ASSERT_EQ(::fdatasync((*made)->fd()), 0);
  }
  const Result<std::unique_ptr<MmapPageFile>> again = MmapPageFile::create(path);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::already_exists);

  Result<std::unique_ptr<MmapPageFile>> opened = MmapPageFile::open(path);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ((*opened)->page_count(), 8u);
  for (std::size_t at = 0; at < 8 * kPageBytes; ++at)
    ASSERT_EQ((*opened)->base()[at], at / kPageBytes == 5 ? std::byte{0x5a} : std::byte{0}) << at;
}

TEST(MmapPageFile, KeepsItsContentWhenTheMappingMoves) {
  ScratchFolder folder;
  Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(folder / "large.shard");
  ASSERT_TRUE(made.ok());
  MmapPageFile& file = **made;
  ASSERT_TRUE(file.grow(16).ok());
  std::memset(file.base(), 0x11, 16 * kPageBytes);
  constexpr storage::PageNo kBeyondTheReservation = (1u << 30) / kPageBytes + 16;
  if (const Status grown = file.grow(kBeyondTheReservation); !grown) GTEST_SKIP() << grown.error().message;
  EXPECT_EQ(file.page_count(), kBeyondTheReservation);
  for (std::size_t at = 0; at < 17 * kPageBytes; ++at)
    ASSERT_EQ(file.base()[at], at < 16 * kPageBytes ? std::byte{0x11} : std::byte{0}) << at;
  file.base()[std::size_t{kBeyondTheReservation} * kPageBytes - 1] = std::byte{1};
}

TEST(MmapPageFile, WhatWasCutOffOrRemovedDoesNotGrow) {
  ScratchFolder folder;
  const std::string path = folder / "a.shard";
  Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(path);
  ASSERT_TRUE(made.ok());
  MmapPageFile& file = **made;
  ASSERT_TRUE(file.grow(64).ok());
  ASSERT_EQ(::ftruncate(file.fd(), 10 * kPageBytes), 0);
  Status grown = file.grow(128);
  ASSERT_FALSE(grown.ok()) << "54 pages have become zeros, and nobody was told";
  EXPECT_EQ(grown.error().code, ErrorCode::read_only);
  EXPECT_EQ(file_size(file.fd()), 10 * kPageBytes);
  ASSERT_EQ(::ftruncate(file.fd(), 64 * kPageBytes), 0);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  grown = file.grow(128);
  ASSERT_FALSE(grown.ok()) << "nobody would ever find what is written there";
  EXPECT_EQ(grown.error().code, ErrorCode::read_only);
  EXPECT_EQ(file.page_count(), 64u);
}

TEST(MmapPageFile, NoSpaceIsAnErrorAndChangesNothing) {
  ScratchFolder folder;
  const std::string path = folder / "a.shard";
  Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(path);
  ASSERT_TRUE(made.ok());
  MmapPageFile& file = **made;
  ASSERT_TRUE(file.grow(64).ok());
  std::memset(file.base(), 0x22, 64 * kPageBytes);
  std::byte* const base = file.base();
  {
    FileSizeLimit limit(100 * kPageBytes);
    const Status grown = file.grow(128);
    ASSERT_FALSE(grown.ok());
    EXPECT_EQ(grown.error().code, ErrorCode::overloaded);
    EXPECT_NE(grown.error().message.find(path), std::string::npos) << grown.error().message;
    EXPECT_EQ(file.page_count(), 64u);
    EXPECT_EQ(file.base(), base);
    EXPECT_EQ(file_size(file.fd()), 64 * kPageBytes);
    EXPECT_EQ(base[64 * kPageBytes - 1], std::byte{0x22});
  }
  // When there is space again, it goes on.
  ASSERT_TRUE(file.grow(128).ok());
  EXPECT_EQ(file.base()[128 * kPageBytes - 1], std::byte{0});
}

// A disk that is really full: a file system of 1 MiB, mounted where only the child sees it.
constexpr int kNoMount = 77;
int fill_a_small_disk(const std::string& mount_point) {
  const bool own_mounts = ::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
  if (!own_mounts || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0)
    return kNoMount;
  Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(mount_point + "/a.shard");
  if (!made || !(*made)->grow(64)) return 1;
  MmapPageFile& file = **made;
  std::memset(file.base(), 0x33, 64 * kPageBytes);
  const Status grown = file.grow(512);  // 2 MiB
  if (grown || grown.error().code != ErrorCode::overloaded || file.page_count() != 64) return 2;
  for (std::size_t at = 0; at < 64 * kPageBytes; ++at)
    if (file.base()[at] != std::byte{0x33}) return 3;
  if (file_size(file.fd()) != 64 * kPageBytes) return 4;
  if (!file.grow(128)) return 5;  // what was refused has been given back
  std::memset(file.base() + 64 * kPageBytes, 0x44, 64 * kPageBytes);
  return 0;
}

TEST(MmapPageFile, AFullDiskIsAnErrorAndNoSignal) {
  ScratchFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(fill_a_small_disk(folder / ""));
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFEXITED(state)) << "ended by signal " << WTERMSIG(state);
  if (WEXITSTATUS(state) == kNoMount) GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_EQ(WEXITSTATUS(state), 0);
}

TEST(MmapPageFile, PagesOfASparseCopyGetDiskSpaceBeforeTheyAreWritten) {
  ScratchFolder folder;
  const std::string path = folder / "copy.shard";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, 256 * kPageBytes), 0);
  const bool sparse = bytes_on_disk(fd) < 256 * kPageBytes;
  ::close(fd);
  if (!sparse) GTEST_SKIP() << "this file system has no holes";
  Result<std::unique_ptr<MmapPageFile>> opened = MmapPageFile::open(path);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE((*opened)->has_holes());
  const auto store = storage::ShardStore::open(**opened, {WorldId{1}, 0, 0});
  ASSERT_TRUE(store.ok()) << store.error().message;
  ASSERT_TRUE((*store)->begin_edit(Lsn{1}, 4).ok());
  (*store)->write(0, 7)[3] = 1;
  // A run of pages at a time, not the whole file.
  EXPECT_GE(bytes_on_disk((*opened)->fd()), 6 * kPageBytes);
}

TEST(MmapPageFile, AFileWithAllItsSpaceHasNoHoles) {
  ScratchFolder folder;
  const std::string path = folder / "whole.shard";
  {
    Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(path);
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE((*made)->grow(64).ok());
  }
  Result<std::unique_ptr<MmapPageFile>> opened = MmapPageFile::open(path);
  ASSERT_TRUE(opened.ok());
  EXPECT_FALSE((*opened)->has_holes());
}

TEST(MmapPageFile, PartOfAPageAtTheEndIsNobodys) {
  ScratchFolder folder;
  const std::string path = folder / "a.shard";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, 3 * kPageBytes + 100), 0);
  ::close(fd);
  Result<std::unique_ptr<MmapPageFile>> opened = MmapPageFile::open(path);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->page_count(), 3u);
  ASSERT_TRUE((*opened)->grow(5).ok());
  (*opened)->base()[5 * kPageBytes - 1] = std::byte{1};
}

TEST(MmapPageFile, OpeningWhatIsNotThereSaysWhichAndWhy) {
  ScratchFolder folder;
  const Result<std::unique_ptr<MmapPageFile>> opened = MmapPageFile::open(folder / "none.shard");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_NE(opened.error().message.find("none.shard"), std::string::npos);
}

// Many more than a reservation of a shard's largest size would allow (the address space ends at 128 TiB).
TEST(MmapPageFile, ThousandsAreOpenAtOnce) {
  ScratchFolder folder;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  constexpr std::size_t kFiles = 3000;
  if (limit.rlim_cur < kFiles + 100) GTEST_SKIP() << "only " << limit.rlim_cur << " open files allowed";
  std::vector<std::unique_ptr<MmapPageFile>> files;
  for (std::size_t i = 0; i < kFiles; ++i) {
    Result<std::unique_ptr<MmapPageFile>> made = MmapPageFile::create(folder / std::to_string(i));
    ASSERT_TRUE(made.ok()) << i << ": " << made.error().message;
    files.push_back(*std::move(made));
    ASSERT_TRUE(files.back()->grow(2).ok());
  }
}

}  // namespace
}  // namespace terrazzo::io

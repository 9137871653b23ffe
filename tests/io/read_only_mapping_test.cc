// What looking at a file leaves behind in memory.
#include "server/io/read_only_mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "server/io/durable_file.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::io {
namespace {

constexpr std::size_t kPage = 4096, kPages = 512;

class ReadOnlyMappingTest : public testing::Test {
 protected:
  void SetUp() override {
    struct statfs about {};
    ASSERT_EQ(::statfs((folder_ / "").c_str(), &about), 0);
    if (about.f_type == TMPFS_MAGIC) GTEST_SKIP() << "files in memory are never forgotten; run it on a disk";
    ASSERT_TRUE(replace_file(path_, std::string(kPages * kPage, 'x')));
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd_, 0);
    memory_ = ::mmap(nullptr, kPages * kPage, PROT_READ, MAP_SHARED, fd_, 0);
    ASSERT_NE(memory_, MAP_FAILED);
    // What another part of the program does not work with is not in its mapping, either.
    ::madvise(memory_, kPages * kPage, MADV_RANDOM);
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  }
  void TearDown() override {
    if (fd_ < 0) return;
    ::munmap(memory_, kPages * kPage);
    ::close(fd_);
  }
  std::size_t in_memory() const {
    std::vector<unsigned char> pages(kPages);
    EXPECT_EQ(::mincore(memory_, kPages * kPage, pages.data()), 0);
    return static_cast<std::size_t>(std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; }));
  }
  void look(Reads reads, std::size_t step) {
    const auto mapping = ReadOnlyMapping::open(path_, reads);
    ASSERT_TRUE(mapping.ok()) << mapping.error().message;
    for (std::size_t page = 0; page < kPages; page += step)
      ASSERT_EQ((*mapping)->bytes()[page * kPage], std::byte{'x'});
  }

  ScratchFolder folder_;
  std::string path_ = folder_ / "file";
  int fd_ = -1;
  void* memory_ = MAP_FAILED;
};

TEST_F(ReadOnlyMappingTest, WhoReadsAllLeavesWhatOthersHaveMappedAndNothingElse) {
  const volatile char* const others = static_cast<const char*>(memory_);
  for (std::size_t page = 0; page < 8; ++page) static_cast<void>(others[page * 64 * kPage]);
  const std::size_t before = in_memory();
  ASSERT_LT(before, kPages / 2);
  look(Reads::all, 1);
  EXPECT_GE(in_memory(), 8u);
  EXPECT_LE(in_memory(), before) << "of " << kPages << " pages that were read";
}

TEST_F(ReadOnlyMappingTest, WhoLooksHereAndThereReadsNothingAhead) {
  ASSERT_EQ(in_memory(), 0u);
  look(Reads::here_and_there, kPages / 4);
  EXPECT_EQ(in_memory(), 4u);
}

}  // namespace
}  // namespace terrazzo::io

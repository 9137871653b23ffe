#include "server/io/ready_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <numeric>

#include "server/io/mmap_page_file.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::io {
namespace {

using storage::kPageBytes;
using storage::PageNo;

constexpr PageNo kPages = 64;

// Page faults of this thread while it writes to each of these pages.
long faults_of_writing(MmapPageFile& file, PageNo first) {
  const auto faults = [] {
    rusage use{};
    ::getrusage(RUSAGE_THREAD, &use);
    return use.ru_minflt + use.ru_majflt;
  };
  const long before = faults();
  for (PageNo page = first; page < first + kPages; ++page) file.base()[page * kPageBytes] = std::byte{7};
  return faults() - before;
}

class ReadyPages : public testing::Test {
 protected:
  void SetUp() override {
    auto made = MmapPageFile::create(folder / "pages");
    ASSERT_TRUE(made.ok()) << made.error().message;
    file = *std::move(made);
    ASSERT_TRUE(file->grow(2 * kPages));
    if (::madvise(file->base(), kPageBytes, MADV_POPULATE_WRITE) != 0 && errno == EINVAL)
      GTEST_SKIP() << "this kernel (before 5.14) makes no pages ready";
  }
  ScratchFolder folder;
  std::unique_ptr<MmapPageFile> file;
};

TEST_F(ReadyPages, AreWrittenWithoutAFaultUntilTheFileIsSynced) {
  storage::ReadyRequest request;
  request.pages.resize(kPages);
  std::iota(request.pages.rbegin(), request.pages.rend(), 0u);  // as a pool gives them: the last is taken first
  EXPECT_FALSE(make_ready(file->fd(), file->base(), request)) << "nobody asked for more pages";
  const long ready = faults_of_writing(*file, 0), others = faults_of_writing(*file, kPages);
  EXPECT_GT(others, 0);
  EXPECT_LT(ready, others / 2);
  EXPECT_EQ(file->base()[0], std::byte{7});
}

TEST_F(ReadyPages, KeepTheirBytes) {
  faults_of_writing(*file, 0);
  ASSERT_EQ(::fdatasync(file->fd()), 0);
  storage::ReadyRequest request{0, 0, {0, 1, 5}};
  make_ready(file->fd(), file->base(), request);
  for (const PageNo page : {0u, 1u, 5u}) EXPECT_EQ(file->base()[page * kPageBytes], std::byte{7});
}

TEST_F(ReadyPages, SpaceIsThereBeforeTheFileGrowsIntoIt) {
  storage::ReadyRequest request{2 * kPages, 4 * kPages, {}};
  EXPECT_TRUE(make_ready(file->fd(), file->base(), request));
  EXPECT_EQ(file->page_count(), 2 * kPages) << "it is the owner's to map them";
  EXPECT_TRUE(file->grow(4 * kPages));
  faults_of_writing(*file, 3 * kPages);
}

TEST_F(ReadyPages, AFileThatWasCutOffDoesNotLookWholeAgain) {
  ASSERT_EQ(::ftruncate(file->fd(), kPageBytes), 0);
  storage::ReadyRequest request{2 * kPages, 4 * kPages, {}};
  EXPECT_FALSE(make_ready(file->fd(), file->base(), request));
  EXPECT_FALSE(file->look_whether_whole().ok());
}

TEST_F(ReadyPages, AMappingThatIsGoneIsNoHarm) {
  storage::ReadyRequest request{0, 0, {0, 1, 2}};
  std::byte* const base = file->base();
  file.reset();
  EXPECT_FALSE(make_ready(-1, base, request));
  storage::ReadyRequest space{0, 8, {}};
  EXPECT_FALSE(make_ready(-1, base, space)) << "no file, no space";
}

}  // namespace
}  // namespace terrazzo::io

// The contract of file operations, kept by the ring and by threads alike.
#include "server/runtime/file_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "server/runtime/clock.h"
#include "server/runtime/file_queue_trial.h"
#include "tests/runtime/loop_kinds.h"

namespace terrazzo::runtime {
namespace {

constexpr std::uint64_t kLongNs = 60 * kNsPerSecond;

struct Outcome final : Completion {
  void complete(std::int32_t r, std::uint32_t) override {
    result = r;
    ++times;
  }
  std::int32_t result = 0;
  int times = 0;
};

enum class Kind { ring, threads_of_ring, threads_of_epoll };

class FileQueueTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    loop_ = make_loop(GetParam() == Kind::threads_of_epoll ? LoopKind::epoll : LoopKind::ring);
    if (!loop_) GTEST_SKIP() << "io_uring is not there";
    queue_ = GetParam() == Kind::ring ? make_ring_file_queue(dynamic_cast<Ring&>(*loop_))
                                      : make_thread_file_queue(*loop_, 2);
    std::string name = (std::filesystem::temp_directory_path() / "terrazzo-files-XXXXXX").string();
    fd_ = ::mkstemp(name.data());
    ASSERT_GE(fd_, 0) << std::strerror(errno);
    path_ = name;
  }
  void TearDown() override {
    queue_.reset();
    if (fd_ >= 0) ::close(fd_);
    std::filesystem::remove(path_);
  }
  void run_until(const Outcome& outcome) {
    const std::uint64_t until = monotonic_ns() + kLongNs;
    while (outcome.times == 0 && monotonic_ns() < until) {
      loop_->submit_and_wait(kNsPerSecond);
      queue_->collect();
    }
  }
  std::vector<std::byte> content() const {
    struct stat about {};
    EXPECT_EQ(::fstat(fd_, &about), 0);
    std::vector<std::byte> bytes(static_cast<std::size_t>(about.st_size));
    EXPECT_EQ(::pread(fd_, bytes.data(), bytes.size(), 0), about.st_size);
    return bytes;
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<FileQueue> queue_;
  std::string path_;
  int fd_ = -1;
};

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) & 255);
  return bytes;
}

TEST_P(FileQueueTest, WritesAtTheOffsetAndCompletesOnce) {
  const std::vector<std::byte> first = pattern(8192, 1), second = pattern(4096, 2);
  Outcome one, two;
  queue_->write_and_datasync(fd_, first, 0, &one);
  queue_->write_and_datasync(fd_, second, 8192, &two);
  run_until(one);
  run_until(two);
  EXPECT_EQ(one.result, 0);
  EXPECT_EQ(two.result, 0);
  EXPECT_EQ(one.times + two.times, 2);
  std::vector<std::byte> expected = first;
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(content(), expected);
}

TEST_P(FileQueueTest, ErrorsComeBackAndWorkGoesOn) {
  const int read_only = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC), full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(read_only, 0);
  ASSERT_GE(full, 0);
  const std::vector<std::byte> bytes = pattern(4096, 3);
  Outcome denied, no_space, after;
  queue_->write_and_datasync(read_only, bytes, 0, &denied);
  run_until(denied);
  EXPECT_EQ(denied.result, -EBADF);
  queue_->write_and_datasync(full, bytes, 0, &no_space);
  run_until(no_space);
  EXPECT_EQ(no_space.result, -ENOSPC);
  queue_->datasync(fd_, &after);
  run_until(after);
  EXPECT_EQ(after.result, 0);
  ::close(read_only);
  ::close(full);
}

// A limit on file size cuts the write short; the rest of it is refused.
TEST_P(FileQueueTest, AShortWriteIsNoSuccess) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::vector<std::byte> bytes = pattern(8192, 5);
  Outcome outcome;
  queue_->write_and_datasync(fd_, bytes, 0, &outcome);
  run_until(outcome);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(outcome.result, -EFBIG);
}

// What cannot be synced (here a pipe; a disk says EIO) is told once, to whom it concerns: a write whose bytes came
// through and are not durable has failed, too (on the ring write and sync are one operation, of which a pipe ignores
// the second half). What comes after it is done.
TEST_P(FileQueueTest, AFailedSyncIsNoSuccess) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  Outcome synced, written, after;
  queue_->datasync(pipe[1], &synced);
  run_until(synced);
  EXPECT_EQ(synced.result, -EINVAL);
  const std::vector<std::byte> bytes = pattern(4096, 6);
  queue_->write_and_datasync(pipe[1], bytes, 0, &written);
  run_until(written);
  EXPECT_TRUE(written.result < 0 || GetParam() == Kind::ring);
  queue_->write_and_datasync(fd_, bytes, 0, &after);
  run_until(after);
  EXPECT_EQ(after.result, 0);
  EXPECT_EQ(content(), bytes);
  EXPECT_EQ(synced.times + written.times + after.times, 3);
  for (const int end : pipe) ::close(end);
}

TEST_P(FileQueueTest, ManyAreFinishedByTheEnd) {
  std::vector<std::vector<std::byte>> all;
  std::vector<Outcome> outcomes(100);
  for (unsigned i = 0; i < outcomes.size(); ++i) all.push_back(pattern(512, i));
  for (unsigned i = 0; i < outcomes.size(); ++i) queue_->write_and_datasync(fd_, all[i], i * 512, &outcomes[i]);
  for (const Outcome& outcome : outcomes) run_until(outcome);
  const std::vector<std::byte> found = content();
  for (unsigned i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(outcomes[i].times, 1);
    EXPECT_EQ(std::memcmp(found.data() + i * 512, all[i].data(), 512), 0);
  }
}

TEST(FileQueueTrial, TellsWhetherTheRingMayTouchFiles) {
  const std::string folder = std::filesystem::temp_directory_path().string();
  const Status works = try_ring_files(folder);
  EXPECT_TRUE(works.ok()) << works.error().message;
  const Status nowhere = try_ring_files(folder + "/there/is/no/such/folder");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code, ErrorCode::unsupported);

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const Status refused = try_ring_files(folder);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, before_signal);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("a synced write"), std::string::npos) << refused.error().message;
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileQueueTest,
                         testing::Values(Kind::ring, Kind::threads_of_ring, Kind::threads_of_epoll),
                         [](const auto& each) {
                           return each.param == Kind::ring              ? "Ring"
                                  : each.param == Kind::threads_of_ring ? "ThreadsOfRing"
                                                                        : "ThreadsOfEpoll";
                         });

}  // namespace
}  // namespace terrazzo::runtime

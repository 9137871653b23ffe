#include "server/runtime/ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "server/runtime/clock.h"

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

class RingTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const RingFeatures features = probe_ring(); !features.available) GTEST_SKIP() << features.why_not;
    Result<std::unique_ptr<Ring>> made = Ring::create(64);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ring_ = *std::move(made);
    std::string name = (std::filesystem::temp_directory_path() / "terrazzo-ring-XXXXXX").string();
    fd_ = ::mkstemp(name.data());
    ASSERT_GE(fd_, 0) << std::strerror(errno);
    path_ = name;
  }
  void TearDown() override {
    if (fd_ >= 0) ::close(fd_);
    std::filesystem::remove(path_);
  }
  void run_until(const Outcome& outcome) {
    const std::uint64_t until = monotonic_ns() + kLongNs;
    while (outcome.times == 0 && monotonic_ns() < until) ring_->submit_and_wait(kNsPerSecond);
  }
  std::vector<std::byte> content() const {
    struct stat about {};
    EXPECT_EQ(::fstat(fd_, &about), 0);
    std::vector<std::byte> bytes(static_cast<std::size_t>(about.st_size));
    EXPECT_EQ(::pread(fd_, bytes.data(), bytes.size(), 0), about.st_size);
    return bytes;
  }

  std::unique_ptr<Ring> ring_;
  std::string path_;
  int fd_ = -1;
};

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) & 255);
  return bytes;
}

TEST_F(RingTest, ProbeAgreesThatARingCanBeMade) {
  const RingFeatures features = probe_ring();
  EXPECT_TRUE(features.available) << features.why_not;
  EXPECT_TRUE(ring_->features().provided_buffers);
}

TEST_F(RingTest, WritesAtTheOffsetAndSyncs) {
  const std::vector<std::byte> first = pattern(8192, 1), second = pattern(4096, 2);
  Outcome one, two;
  ring_->write_and_datasync(fd_, first, 0, &one);
  ring_->write_and_datasync(fd_, second, 8192, &two);
  run_until(one);
  run_until(two);
  EXPECT_EQ(one.result, 0);
  EXPECT_EQ(two.result, 0);
  EXPECT_EQ(one.times + two.times, 2);
  std::vector<std::byte> expected = first;
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(content(), expected);
}

TEST_F(RingTest, ManyWritesShareTheirOperations) {
  for (unsigned i = 0; i < 200; ++i) {
    const std::vector<std::byte> bytes = pattern(512, i);
    Outcome outcome;
    ring_->write_and_datasync(fd_, bytes, 0, &outcome);
    run_until(outcome);
    ASSERT_EQ(outcome.times, 1);
    ASSERT_EQ(outcome.result, 0);
    ASSERT_EQ(content(), bytes);
  }
}

TEST_F(RingTest, AWriteThatCannotBeSaysSoOnce) {
  const int read_only = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(read_only, 0);
  const std::vector<std::byte> bytes = pattern(4096, 3);
  Outcome outcome, after;
  ring_->write_and_datasync(read_only, bytes, 0, &outcome);
  run_until(outcome);
  EXPECT_EQ(outcome.result, -EBADF);
  // The ring works on.
  ring_->datasync(fd_, &after);
  run_until(after);
  EXPECT_EQ(after.result, 0);
  EXPECT_EQ(outcome.times, 1);
  ::close(read_only);
}

TEST_F(RingTest, AFullDiskIsAnErrorOfTheWrite) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  const std::vector<std::byte> bytes = pattern(4096, 4);
  Outcome outcome;
  ring_->write_and_datasync(full, bytes, 0, &outcome);
  run_until(outcome);
  EXPECT_EQ(outcome.result, -ENOSPC);
  ::close(full);
}

TEST_F(RingTest, MoreEntriesThanTheQueueHoldsAreSubmittedOnTheWay) {
  std::vector<Outcome> outcomes(300);
  for (Outcome& outcome : outcomes) ::io_uring_prep_nop(ring_->next_entry(&outcome));
  for (const Outcome& outcome : outcomes) run_until(outcome);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.times, 1);
  EXPECT_TRUE(ring_->all_submitted());
}

}  // namespace
}  // namespace terrazzo::runtime

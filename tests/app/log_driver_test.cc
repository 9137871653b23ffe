#include "server/app/log_driver.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/io/scratch_folder.h"

namespace terrazzo::app {
namespace {

namespace fs = std::filesystem;
using runtime::kNsPerMs;

TEST(Backoff, GrowsUpToItsLimitAndBeginsAnewAfterASuccess) {
  Backoff backoff(200, 1500);
  EXPECT_TRUE(backoff.due(0));
  std::uint64_t now = 1000;
  for (const std::uint64_t pause : {200u, 400u, 800u, 1500u, 1500u}) {
    backoff.failed(now);
    EXPECT_EQ(backoff.not_before_ns(), now + pause);
    EXPECT_FALSE(backoff.due(now + pause - 1));
    EXPECT_TRUE(backoff.due(now + pause));
    now += pause;
  }
  backoff.succeeded();
  EXPECT_TRUE(backoff.due(now));
  backoff.failed(now);
  EXPECT_EQ(backoff.not_before_ns(), now + 200);
}

std::uint64_t now_ns = 0;

// Notes what is written; nothing completes.
class NotingFiles final : public runtime::FileQueue {
 public:
  void write_and_datasync(int, std::span<const std::byte> bytes, std::uint64_t, runtime::Completion*) override {
    written.push_back(bytes.size());
  }
  void datasync(int, runtime::Completion*) override {}
  std::vector<std::size_t> written;
};

// A log in whose folder nothing can be made, since a file has its name.
class LogWithoutSegments : public testing::Test {
 protected:
  LogWithoutSegments() {
    now_ns = 1;
    node_.config.segment_mib = 1;
    Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(folder_ / "data");
    EXPECT_TRUE(data.ok());
    node_.data = *std::move(data);
    node_.incarnation = node_.data->incarnation();
    node_.workers = std::make_unique<WorkerPool>(1, 1, [](unsigned) {});
    std::ofstream(in_the_way()).close();
    log_ = std::make_unique<LogDriver>(
        node_, 0, files_, +[] { return now_ns; });
    take_results();
    log_->append({});
    log_->submit(now_ns);
  }
  ~LogWithoutSegments() override { node_.workers.reset(); }
  std::string in_the_way() const { return folder_ / "data/wal/core-00"; }
  void take_results() {
    while (!node_.workers->idle()) node_.workers->collect(0);
  }
  // The pause until the driver wants to be called next; then it is that time.
  std::uint64_t wait() {
    const std::uint64_t pause = log_->next_try_ns(now_ns) - now_ns;
    now_ns += pause;
    return pause;
  }

  io::ScratchFolder folder_;
  Node node_;
  NotingFiles files_;
  std::unique_ptr<LogDriver> log_;
};

TEST_F(LogWithoutSegments, TriesLessAndLessOftenButNeverStops) {
  for (const std::uint64_t ms : {200u, 400u, 800u, 1600u, 3200u, 5000u, 5000u, 5000u}) {
    EXPECT_EQ(wait(), ms * kNsPerMs);
    --now_ns;
    log_->submit(now_ns);
    EXPECT_TRUE(node_.workers->idle()) << "too early";
    ++now_ns;
    log_->submit(now_ns);
    take_results();
  }
  EXPECT_TRUE(files_.written.empty());
}

// Making a segment takes long on a slow disk: the core slept no more than a nanosecond meanwhile.
TEST_F(LogWithoutSegments, DoesNotAskForATryWhileAWorkerIsAtIt) {
  wait();
  log_->submit(now_ns);
  EXPECT_EQ(log_->next_try_ns(now_ns), ~std::uint64_t{0});
  take_results();
  EXPECT_EQ(wait(), 400 * kNsPerMs);
}

TEST_F(LogWithoutSegments, GoesOnWhenThereIsSpaceAgain) {
  for (int tries = 0; tries < 4; ++tries) {
    wait();
    log_->submit(now_ns);
    take_results();
  }
  fs::remove(in_the_way());
  wait();
  log_->submit(now_ns);  // asks for the segment
  take_results();
  log_->submit(now_ns);
  ASSERT_EQ(files_.written.size(), 1u);
  EXPECT_EQ(files_.written[0], 2 * storage::kPageBytes);
  take_results();
}

}  // namespace
}  // namespace terrazzo::app

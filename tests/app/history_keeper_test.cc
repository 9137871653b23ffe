#include "server/app/history_keeper.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include "server/runtime/clock.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::app {
namespace {

using std::chrono::hours;

class HistoryLimits : public testing::Test {
 protected:
  HistoryLimits() {
    node_.config.history_days = 10;
    node_.config.history_mib = 3;
    Result<std::unique_ptr<io::DataDirectory>> data = io::DataDirectory::open(folder_ / "data");
    EXPECT_TRUE(data.ok());
    node_.data = *std::move(data);
    node_.workers = std::make_unique<WorkerPool>(1, 1, [](unsigned) {});
  }
  ~HistoryLimits() override { node_.workers.reset(); }
  void file(std::uint32_t number, std::size_t bytes, int days) {
    const io::SegmentName name{0, Incarnation{1}, number};
    ASSERT_TRUE(node_.data->write_history(name, std::vector<std::byte>(bytes)));
    const std::string path = folder_ / ("data/history/core-00/1-" + std::to_string(number) + ".hist");
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - hours(24 * days));
  }
  std::vector<std::uint32_t> kept() const {
    std::vector<std::uint32_t> numbers;
    const auto files = node_.data->list_history();
    for (const auto& each : *files) numbers.push_back(each.name.number);
    return numbers;
  }
  void finish_work() {
    while (!node_.workers->idle()) node_.workers->collect(0);
  }

  io::ScratchFolder folder_;
  Node node_;
};

TEST_F(HistoryLimits, DropTheOldAndCountWhatIsLeft) {
  file(1, 100, 11);
  file(2, 200, 9);
  file(3, 300, 0);
  keep_history_limits(node_);
  EXPECT_EQ(kept(), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(node_.history.files, 2u);
  EXPECT_EQ(node_.history.bytes, 500u);
  EXPECT_EQ(node_.history.dropped, 1u);
}

TEST_F(HistoryLimits, DropTheOldestWhereThereIsTooMuch) {
  for (const int number : {1, 2, 3, 4}) file(static_cast<std::uint32_t>(number), 1 << 20, 9 - number);
  keep_history_limits(node_);
  EXPECT_EQ(kept(), (std::vector<std::uint32_t>{2, 3, 4}));
  EXPECT_EQ(node_.history.bytes, 3u << 20);
}

TEST_F(HistoryLimits, AreKeptOnceAnHourWithoutAnythingBeingSealed) {
  constexpr std::uint64_t kHourNs = 3600 * runtime::kNsPerSecond;
  HistoryTimer timer(node_);
  timer.tick(5, 0);
  file(1, 100, 11);
  timer.tick(5 + kHourNs - 1, 0);
  finish_work();
  EXPECT_EQ(kept().size(), 1u) << "before its time";
  timer.tick(5 + kHourNs, 0);
  finish_work();
  EXPECT_TRUE(kept().empty());
  file(2, 100, 11);
  timer.tick(6 + kHourNs, 0);
  finish_work();
  EXPECT_EQ(kept().size(), 1u) << "once an hour";
  timer.tick(5 + 2 * kHourNs, 0);
  finish_work();
  EXPECT_TRUE(kept().empty());
}

}  // namespace
}  // namespace terrazzo::app

// A real server whose power is cut before each operation that changes a file: what was not synced is kept, lost or torn
// in any mix, and a start on that disk must show everything that clients were told, untorn, with every page accounted
// for. TERRAZZO_FAULTS=all cuts before every operation; otherwise before some of them, others each day.
// TERRAZZO_CUT_SEED replays a mix.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include "../integration/server_process.h"
#include "power_cut.h"
#include "scripted_life.h"

namespace terrazzo::integration {
namespace {

namespace fs = std::filesystem;
constexpr int kPowerCut = -1;

class PowerCut : public testing::TestWithParam<int> {
 protected:
  // The data folder stays where it is, because the shim writes its path down.
  void put_back(const fs::path& morning) {
    fs::remove_all(data_);
    fs::remove_all(disk_);
    fs::copy(morning, data_, fs::copy_options::recursive);
    begin_disk(data_, disk_);
  }
  void live(int day, long at, Told& told) {  // at 0: a day without a cut
    ShimSettings shim(data_, at, kPowerCut, folder_.path() / "count");
    shim.set("TERRAZZO_FAULT_DISK", disk_.string());
    live_a_day(day, data_, told, at == 0 ? Disk::good : Disk::failing);
  }

  TemporaryFolder folder_{memory_folder()};
  fs::path data_ = folder_.path() / "data", disk_ = folder_.path() / "disk";
};

TEST_P(PowerCut, NothingThatWasToldIsLostWheneverItComes) {
  const int day = GetParam();
  const fs::path morning = folder_.path() / "morning";
  Told before;
  for (int earlier = 0; earlier < day; ++earlier) live_a_day(earlier, morning, before);
  fs::create_directory(morning);
  long operations = 0;
  {
    put_back(morning);
    Told told = before;
    live(day, 0, told);
    ASSERT_TRUE(told.went_on);
    std::ifstream(folder_.path() / "count") >> operations;
    ASSERT_GT(operations, 20);
  }
  const char* wanted = std::getenv("TERRAZZO_FAULTS");
  const bool all = wanted != nullptr && std::string(wanted) == "all";
  const long today =
      std::chrono::duration_cast<std::chrono::hours>(std::chrono::system_clock::now().time_since_epoch()).count() / 24;
  const char* seed_wanted = std::getenv("TERRAZZO_CUT_SEED");
  const long step = all ? 1 : 9;
  for (long at = 1 + (all ? 0 : today % step); at <= operations + 1; at += step) {
    put_back(morning);
    Told told = before;
    live(day, at, told);
    for (const Unsynced unsynced : {Unsynced::kept, Unsynced::lost, Unsynced::torn}) {
      const auto seed = seed_wanted == nullptr ? static_cast<std::uint32_t>(at)
                                               : static_cast<std::uint32_t>(std::strtoul(seed_wanted, nullptr, 10));
      std::mt19937 random(seed);
      const fs::path after = folder_.path() / "after";
      restore_disk(data_, disk_, after, unsynced, random);
      SCOPED_TRACE("cut before operation " + std::to_string(at) + " of " + std::to_string(operations) +
                   ", unsynced pages " +
                   (unsynced == Unsynced::kept   ? "kept"
                    : unsynced == Unsynced::lost ? "lost"
                                                 : "torn, seed " + std::to_string(seed)));
      expect_nothing_lost(after, told);
      if (HasFailure()) {
        std::ifstream log(after.string() + ".log"), journal(disk_ / "journal");
        FAIL() << std::string(std::istreambuf_iterator<char>(log), {}) << "names, as they came and went:\n"
               << std::string(std::istreambuf_iterator<char>(journal), {});
      }
      fs::remove_all(after);
      fs::remove(after.string() + ".log");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Days, PowerCut, testing::Range(0, kDays));

// The model itself: a server that synced nothing would be found out.
TEST(PowerCutDisk, ForgetsWhatWasNotSyncedAndKeepsWhatWas) {
  const TemporaryFolder folder(memory_folder());
  const fs::path data = folder.path() / "data", disk = folder.path() / "disk";
  fs::create_directory(data);
  std::ofstream(data / "old") << "before";
  begin_disk(data, disk);
  std::ofstream(data / "old") << "after!";
  std::mt19937 random(1);
  restore_disk(data, disk, folder.path() / "lost", Unsynced::lost, random);
  restore_disk(data, disk, folder.path() / "kept", Unsynced::kept, random);
  std::string text;
  std::ifstream(folder.path() / "lost" / "old") >> text;
  EXPECT_EQ(text, "before");
  std::ifstream(folder.path() / "kept" / "old") >> text;
  EXPECT_EQ(text, "after!");
}

}  // namespace
}  // namespace terrazzo::integration

// A page of a shard's file that the disk does not give: whoever touches it gets SIGBUS, and whoever reads it through
// the file gets EIO, or the page after all: the disk failed between the two. Nothing wrong may be shown for it, nor be
// written over the truth; that shard takes no more edits and says why; everything else is served.
// TERRAZZO_FAULTS=all tries every page.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "scripted_life.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

enum class Reads { fail, succeed };

class MappedFault : public testing::TestWithParam<Reads> {
 protected:
  MappedFault() {
    for (const int day : {0, 1}) live_a_day(day, morning_, before_);
    for (const auto& entry : fs::recursive_directory_iterator(morning_))
      if (entry.path().filename() == "0_0.shard") pages_ = static_cast<long>(entry.file_size() / 4096);
  }
  // The edit's end; nothing: it is durable.
  static std::optional<Error> paint(client::Client& client, const map::Rect& rect, std::uint32_t value) {
    const auto edit = client.edit(client::EditDraft().fill(kLifeLayer, rect, map::Cell{value}));
    EXPECT_TRUE(edit.ok());
    EXPECT_TRUE(
        client.wait_until([&] { return client.is_durable(*edit) || client.rejection(*edit).has_value(); }, 60s));
    return client.rejection(*edit);
  }
  // In the words of who touched it, or of who read it before anybody could.
  static bool told_of_page(const std::string& log) {
    return log.find("could not be read") != std::string::npos || log.find("cannot be read") != std::string::npos;
  }
  // True: the page was touched, and noticed.
  bool live_without(long page, const fs::path& data, Told& told) {
    ShimSettings shim(data, 0, EIO, folder_.path() / "count");
    shim.set("TERRAZZO_FAULT_PAGE_OF", "/0_0.shard");
    shim.set("TERRAZZO_FAULT_PAGE", std::to_string(page));
    shim.set("TERRAZZO_FAULT_SECTOR", GetParam() == Reads::fail ? "1" : "0");
    ServerProcess server(data, life_flags(), 0, false);
    if (!server.running()) return true;  // it said why
    expect_blocks(server.port(), told.durable, told.sent, Disk::failing);
    const auto client = enter_life(server.port());
    EXPECT_NE(client, nullptr);
    if (client == nullptr) return false;
    Painter painter(*client, told, Disk::failing);
    painter.paint_at_once(0, 12, 5000);
    expect_blocks(server.port(), told.durable, told.sent, Disk::failing);
    const bool noticed = told_of_page(server.log());
    const auto refusal = paint(*client, life_block(1), told.sent[1] = 5100);
    EXPECT_EQ(refusal.has_value(), noticed) << server.log();
    if (refusal) {
      EXPECT_TRUE(refusal->code == ErrorCode::read_only || refusal->code == ErrorCode::internal) << refusal->message;
    } else {
      told.durable[1] = 5100;
    }
    EXPECT_FALSE(paint(*client, map::Rect::of_size(8300, 300, 4, 4), 7).has_value()) << "the other shard";
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200u);
    EXPECT_EQ(server.terminate(), 0) << server.log();
    return noticed;
  }

  TemporaryFolder folder_{memory_folder()};
  fs::path morning_ = folder_.path() / "morning";
  Told before_;
  long pages_ = 0;
};

TEST_P(MappedFault, OfAnyPageShowsNothingWrongAndLosesNothing) {
  ASSERT_GT(pages_, 64);
  const char* wanted = std::getenv("TERRAZZO_FAULTS");
  const long step = wanted != nullptr && std::string(wanted) == "all" ? 1 : pages_ / 16;
  int noticed = 0;
  for (long page = 0; page < pages_; page += step) {
    SCOPED_TRACE("page " + std::to_string(page) + " of " + std::to_string(pages_));
    const fs::path data = folder_.path() / std::to_string(page);
    fs::copy(morning_, data, fs::copy_options::recursive);
    Told told = before_;
    noticed += live_without(page, data, told) ? 1 : 0;
    if (!HasFailure()) expect_nothing_lost(data, told);
    ASSERT_FALSE(HasFailure());
    fs::remove_all(data);
  }
  EXPECT_GT(noticed, 0);
}

INSTANTIATE_TEST_SUITE_P(Reads, MappedFault, testing::Values(Reads::fail, Reads::succeed),
                         [](const auto& each) { return each.param == Reads::fail ? "FailToo" : "Succeed"; });

}  // namespace
}  // namespace terrazzo::integration

// A whole server on a file system that is really full: no shim stands between it and the kernel, pages are mapped, the
// log is written by the ring or by threads. Edits that need room are refused in words, what is there is served, nothing
// dies of SIGBUS, and when there is space again it goes on by itself.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "scripted_life.h"
#include "small_disk.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kDiskBytes = 48u << 20;

class ADisk : public testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> flags() const { return {"--cores", "1", "--segment-mib", "1", "--file-io", GetParam()}; }
  // Chunks that nobody has painted yet, until one cannot be.
  static std::optional<Error> paint_until_refused(client::Client& client) {
    std::vector<map::Cell> cells(64 * 64);
    for (std::int32_t i = 0; i < 10'000; ++i) {
      for (std::size_t c = 0; c < cells.size(); ++c)
        cells[c] =
            map::Cell{1 + static_cast<std::uint32_t>((c * 2654435761u + static_cast<unsigned>(i)) >> 7) % 90'000};
      const auto edit = client.edit(client::EditDraft().set(
          kLifeLayer, map::Rect::of_size(64 * (i % 100), 1024 + 64 * (i / 100), 64, 64), cells));
      if (!edit) return edit.error();
      client.wait_until([&] { return client.is_applied(*edit) || client.rejection(*edit).has_value(); }, 60s);
      if (const std::optional<Error> refusal = client.rejection(*edit)) return refusal;
    }
    return std::nullopt;
  }

  TemporaryFolder folder_;  // where the server's log goes
  SmallDisk disk_{folder_.path() / "data", kDiskBytes};
};

TEST_P(ADisk, ThatIsFullIsSurvivedAndLeftBehind) {
  if (!disk_.mounted()) GTEST_SKIP() << "mounting is denied here (unshare, mount): run it where namespaces are allowed";
  Told told;
  {
    ServerProcess server(disk_.path(), flags());
    make_world(server.port(), "w", kLifeTiles);
    told.world = true;
    const auto client = enter_life(server.port());
    ASSERT_NE(client, nullptr);
    Painter(*client, told).paint_at_once(0, 12, 100);
    ASSERT_EQ(told.durable.size(), 12u) << server.log();
    disk_.fill();
    const std::optional<Error> refusal = paint_until_refused(*client);
    ASSERT_TRUE(refusal) << "the disk never was too full";
    EXPECT_EQ(refusal->code, ErrorCode::overloaded) << refusal->message;
    EXPECT_NE(refusal->message.find("space"), std::string::npos) << refusal->message;
    // A new world, a version and an image need room as well, and say so.
    const HttpAnswer world = http(server.port(), "POST", "/v1/worlds", make_world_json("v", 10));
    EXPECT_EQ(world.status, 503u) << world.body;
    EXPECT_NE(world.body.find("free some disk space"), std::string::npos) << world.body;
    EXPECT_EQ(http(server.port(), "GET", "/healthz").status, 200u);
    expect_blocks(server.port(), told.durable, told.sent);
    ASSERT_FALSE(HasFatalFailure()) << server.log();

    disk_.empty();
    EXPECT_TRUE(Painter(*client, told).go_on(1000)) << "it does not go on when there is space again: " << server.log();
    EXPECT_EQ(http(server.port(), "POST", "/v1/worlds", make_world_json("v", 10)).status, 201u);
    expect_blocks(server.port(), told.durable, told.sent);
    EXPECT_EQ(server.terminate(), 0) << "a crash, or a signal: " << server.log();
    for (const char* wrong : {" error ", " critical ", "read-only"})
      EXPECT_EQ(server.log().find(wrong), std::string::npos) << server.log();
  }
  expect_nothing_lost(disk_.path(), told);
}

INSTANTIATE_TEST_SUITE_P(FileIo, ADisk, testing::Values("auto", "threads"),
                         [](const auto& each) { return std::string(each.param) == "auto" ? "Auto" : "Threads"; });

}  // namespace
}  // namespace terrazzo::integration

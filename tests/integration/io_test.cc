// What carries the sockets: chosen by flag or by what is there, said once, and the same service on each.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "denied_calls.h"
#include "http_peer.h"
#include "server_process.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
const std::vector<long> kRingCalls{SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Two cores, an edit over four shards, durable, seen by another client; and there after a kill.
void expect_service(const std::filesystem::path& data, const std::vector<std::string>& flags,
                    const std::function<bool()>& deny, const std::string& said) {
  std::vector<std::string> all{"--cores", "2"};
  all.insert(all.end(), flags.begin(), flags.end());
  {
    ServerProcess server(data, all, 0, true, deny);
    ASSERT_TRUE(server.running());
    EXPECT_EQ(count_of(server.log(), said), 1) << server.log();
    EXPECT_EQ(count_of(server.log(), "sockets on"), 1) << server.log();
    make_world(server.port(), "w");
    WebSocketPeer viewer(server.port(), "terrazzo.v1.json"), painter(server.port(), "terrazzo.v1.json");
    viewer.send_text(
        R"([{"type":"hello","protocol":1},{"type":"open","world":"w"},{"type":"subscribe","sub":1,"rect":[-5,-5,10,10]}])");
    ASSERT_TRUE(viewer.read_until("subscribed"));
    painter.send_text(R"([{"type":"hello","protocol":1},{"type":"open","world":"w"}])");
    painter.send_text(R"({"type":"edit","id":1,"ops":[{"op":"fill","layer":1,"rect":[-5,-5,10,10],"cell":9}]})");
    ASSERT_TRUE(painter.read_until("\"ack\""));
    EXPECT_TRUE(viewer.read_until("\"applied\""));
    server.kill();
  }
  ServerProcess server(data, all, 0, true, deny);
  {
    WebSocketPeer viewer(server.port(), "terrazzo.v1.json");
    viewer.send_text(
        R"([{"type":"hello","protocol":1},{"type":"open","world":"w"},{"type":"subscribe","sub":1,"rect":[-5,-5,10,10]}])");
    const auto subscribed = viewer.read_until("subscribed");
    ASSERT_TRUE(subscribed);
    EXPECT_NE(subscribed->find("[-1,-1,1]"), std::string::npos) << *subscribed;
  }
  EXPECT_EQ(server.terminate(), 0) << server.log();
}

// Docker's default profile.
TEST(Io, WhereSeccompDeniesIoUringItRunsOnEpollAndSaysSoOnce) {
  TemporaryFolder folder;
  expect_service(
      folder.path() / "data", {"--io", "auto"}, [] { return deny_calls(kRingCalls, EPERM); },
      "io_uring is not there. io_uring_setup: Operation not permitted (1): most likely a seccomp profile");
}

TEST(Io, AKernelWithoutIoUringRunsOnEpoll) {
  TemporaryFolder folder;
  expect_service(
      folder.path() / "data", {"--io", "auto"}, [] { return deny_calls(kRingCalls, ENOSYS); },
      "io_uring is not there. io_uring_setup: Function not implemented (38)");
}

// The sysctl is the whole machine's: it is only made to read as if it were set, and the call is denied as it would be.
TEST(Io, TheSysctlThatDisablesIoUringIsNamed) {
  TemporaryFolder folder;
  const std::string disabled = folder.path() / "disabled";
  std::ofstream(disabled) << "2\n";
  const pid_t trial = ::fork();
  if (trial == 0) ::_exit(pretend_sysctl(disabled.c_str()) ? 0 : 1);
  int status = 0;
  ::waitpid(trial, &status, 0);
  if (status != 0) GTEST_SKIP() << "no mount namespaces here, or a kernel without the sysctl";
  expect_service(
      folder.path() / "data", {"--io", "auto"},
      [&] { return pretend_sysctl(disabled.c_str()) && deny_calls(kRingCalls, EPERM); },
      "the sysctl kernel.io_uring_disabled is 2; set it to 0");
}

TEST(Io, EpollByFlag) {
  TemporaryFolder folder;
  expect_service(
      folder.path() / "data", {"--io", "epoll"}, [] { return true; }, "as --io epoll says");
}

// Container profiles of the time before Linux 5.11 deny calls they do not know.
TEST(Io, EpollNeedsNoRecentCalls) {
  TemporaryFolder folder;
  std::vector<long> calls = kRingCalls;
  calls.push_back(SYS_epoll_pwait2);
  expect_service(
      folder.path() / "data", {"--io", "auto"}, [&] { return deny_calls(calls, EPERM); }, "sockets on epoll");
}

TEST(Io, RingByFlagDoesNotStartWithoutIoUring) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--io", "ring"}, {"--io", "auto", "--file-io", "ring"}}) {
    TemporaryFolder folder;
    ServerProcess server(folder.path() / "data", flags, 0, false, [] { return deny_calls(kRingCalls, EPERM); });
    EXPECT_FALSE(server.running());
    EXPECT_EQ(count_of(server.log(), "io_uring_setup: Operation not permitted"), 1) << server.log();
    EXPECT_EQ(count_of(server.log(), "let the server run without: --io auto"), 1) << server.log();
  }
}

TEST(Io, RingForFilesAndEpollForSocketsIsExplained) {
  const Ran ran = run_program(kServer, {"--io", "epoll", "--file-io", "ring", "--auth", "none"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("--file-io ring goes with --io ring or auto"), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace terrazzo::integration

// Backups of a stopped server's folder, and a disk that fails: for each N, the Nth file operation on the backup (or on
// the folder that is restored) fails. Either it is done and right, or it says so and nothing is left under its name.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

namespace fs = std::filesystem;
const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";
const std::string kCli = TERRAZZO_BIN_DIR "/terrazzo";

class BackupFaults : public testing::Test {
 protected:
  BackupFaults() {
    ServerProcess server(data_, {"--segment-mib", "1"});
    make_world(server.port(), "w", 1000);
    paint(server, "0,0,300,300", "3");
    EXPECT_EQ(server.terminate(), 0);
    EXPECT_EQ(run_program(kServer, {"backup", data_, path("full")}).exit_code, 0);
  }
  void edit() {
    ServerProcess server(data_, {"--segment-mib", "1"});
    paint(server, "5,5,9,9", "4");
    EXPECT_EQ(server.terminate(), 0);
  }
  static void paint(const ServerProcess& server, const char* rect, const char* tile) {
    EXPECT_EQ(
        run_program(kCli, {"paint", "w", "--rect", rect, "--tile", tile, "--server", server.http_url()}).exit_code, 0);
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  // Runs it with the Nth operation on what begins with `target` failing; for all N until it does not come to N.
  template <class Check>
  void fail_each(const std::vector<std::string>& arguments, const std::string& target, const Check& done_right) {
    int failed = 0, done = 0;
    for (const int kind : {EIO, ENOSPC, 0})
      ASSERT_NO_FATAL_FAILURE(fail_each(kind, arguments, target, done_right, failed, done));
    std::printf("%d failed, %d done\n", failed, done);
    EXPECT_GT(failed, 40);
    EXPECT_GT(done, 5) << "half a write is no error";
  }
  template <class Check>
  void fail_each(int kind, const std::vector<std::string>& arguments, const std::string& target,
                 const Check& done_right, int& failed, int& done) {
    for (int at = 1;; ++at) {
      SCOPED_TRACE("operation " + std::to_string(at) + ", errno " + std::to_string(kind));
      const Ran ran =
          run_program(kServer, arguments,
                      {"LD_PRELOAD=" TERRAZZO_FAULT_SHIM, "TERRAZZO_FAULT_FOLDER=" + target,
                       "TERRAZZO_FAULT_AT=" + std::to_string(at), "TERRAZZO_FAULT_KIND=" + std::to_string(kind),
                       "TERRAZZO_FAULT_COUNT=" + path("count")});
      const bool came_to_it = fs::remove(path("count"));
      if (ran.exit_code == 0) {
        ++done;
        ASSERT_NO_FATAL_FAILURE(done_right());
        fs::remove_all(target);
      } else {
        ++failed;
        ASSERT_FALSE(fs::exists(target + ".partial")) << ran.output;
        // What is restored is looked at once more when it is in place: then it is whole, though reading it failed.
        if (arguments[0] == "restore" && fs::exists(target)) {
          ASSERT_NO_FATAL_FAILURE(done_right());
          fs::remove_all(target);
          continue;
        }
        ASSERT_EQ(ran.exit_code, 2) << ran.output;
        ASSERT_FALSE(fs::exists(target)) << ran.output;
      }
      if (!came_to_it) break;
    }
  }

  TemporaryFolder folder_;
  const std::string data_ = path("data");
};

TEST_F(BackupFaults, ABackupIsWholeOrNotThere) {
  edit();
  fail_each({"backup", data_, path("part"), "--since", path("full")}, path("part"), [&] {
    const Ran restored = run_program(kServer, {"restore", path("part"), path("to")});
    ASSERT_EQ(restored.exit_code, 0) << restored.output;
    fs::remove_all(path("to"));
  });
}

TEST_F(BackupFaults, ARestoredFolderIsWholeOrNotThere) {
  edit();
  ASSERT_EQ(run_program(kServer, {"backup", data_, path("part"), "--since", path("full")}).exit_code, 0);
  fail_each({"restore", path("part"), path("to")}, path("to"), [&] {
    const Ran verified = run_program(kServer, {"verify", path("to")});
    ASSERT_EQ(verified.exit_code, 0) << verified.output;
  });
}

}  // namespace
}  // namespace terrazzo::integration

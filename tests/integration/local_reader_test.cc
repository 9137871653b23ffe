// Programs on the server's host that read a shard's file while it is painted at full speed: never half an edit, never
// back in time, and what readers held that were killed comes back.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server/io/mmap_page_file.h"
#include "server/storage/shard_store.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "terrazzo/local_shard.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Every edit writes all of it alike: nine chunks, some whole and some in part, in three regions.
const map::Rect kArea = map::Rect::of_size(500, 490, 80, 70);

// What one reader finds wrong; empty: nothing. Ends when it has seen so many states, a new one each time.
std::string watch(const std::string& file, int states) {
  auto shard = client::LocalShard::open(file, 5s);
  if (!shard) return shard.error().message;
  Lsn last;
  while (states > 0) {
    if (const Status moved = (*shard)->refresh(); !moved) return moved.error().message;
    if ((*shard)->lsn() < last) return "back in time";
    states -= (*shard)->lsn() > last ? 1 : 0;
    last = (*shard)->lsn();
    std::optional<std::uint32_t> value;
    for (std::int64_t y = kArea.y0; y < kArea.y1; y += 3) {
      for (std::int64_t x = kArea.x0; x < kArea.x1; x += 3) {
        const map::CellPos at{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
        const auto chunk = (*shard)->chunk(1, map::chunk_of(at));
        if (!chunk) return chunk.error().message;
        const std::uint32_t cell = chunk->at(static_cast<std::size_t>(map::index_in_chunk(at))).bits;
        if (value && *value != cell) return "half an edit: " + std::to_string(*value) + " and " + std::to_string(cell);
        value = cell;
      }
    }
    if (!(*shard)->still_valid()) return "another server run";
  }
  return {};
}

// A process of its own; its exit code is 0 when it found nothing wrong.
pid_t start_reader(const std::string& file, int states) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const std::string wrong = watch(file, states);
  if (!wrong.empty()) std::fprintf(stderr, "reader: %s\n", wrong.c_str());
  ::_exit(wrong.empty() ? 0 : 1);
}

// After the run, nothing is left of what readers held.
void expect_nothing_held(const std::string& path) {
  const auto file = io::MmapPageFile::open(path);
  ASSERT_TRUE(file.ok());
  const std::uint64_t world = std::stoull(fs::path(path).parent_path().filename().string());
  const auto store = storage::ShardStore::open(**file, {WorldId{world}, 0, 0});
  ASSERT_TRUE(store.ok()) << store.error().message;
  while ((*store)->reclaim(100'000)) {
  }
  for (int root = 0; root < 2; ++root) {
    auto step = (*store)->begin_checkpoint({});
    while (step.ok() && *step != storage::CheckpointStep::done)
      step = *step == storage::CheckpointStep::work ? (*store)->checkpoint_work(1000) : (*store)->checkpoint_synced({});
    ASSERT_TRUE(step.ok());
  }
  EXPECT_TRUE((*store)->pins().empty());
  EXPECT_LT((*store)->pages().live + (*store)->pages().pending, 60u);
  EXPECT_TRUE((*store)->verify().ok());
}

TEST(LocalReader, NeverSeesHalfAnEditWhileOthersPaintAtFullSpeed) {
  TemporaryFolder folder;
  ServerProcess server(folder.path() / "data", {"--publish-ms", "1", "--segment-mib", "1"});
  make_world(server.port(), "w", 1u << 20);
  client::ConnectOptions options;
  options.url = server.websocket_url();
  client::Client client(options);
  ASSERT_TRUE(client.connect().ok());
  ASSERT_TRUE(client.open("w").ok());
  ASSERT_TRUE(client.wait_live(10s).ok());
  std::uint32_t value = 1;
  const auto paint = [&] {
    if (client.edits_waiting() > 200) return;
    ASSERT_TRUE(client.edit(client::EditDraft().fill(1, kArea, map::Cell{value++})).ok());
  };
  paint();
  ASSERT_TRUE(client.wait_durable(10s));
  const std::string file = fs::directory_iterator(folder.path() / "data/worlds")->path() / "0_0.shard";
  std::vector<pid_t> readers;
  for (int i = 0; i < 3; ++i) readers.push_back(start_reader(file, 300));
  const pid_t doomed = start_reader(file, 1 << 30);
  std::size_t left = readers.size();
  bool killed = false;
  while (left > 0) {
    for (int i = 0; i < 20; ++i) paint();
    client.run_once(1ms);
    if (value > 2000 && !std::exchange(killed, true)) ::kill(doomed, SIGKILL);
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0 || ended == doomed || ended == server.pid()) continue;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a reader saw what never was";
    --left;
  }
  if (!std::exchange(killed, true)) ::kill(doomed, SIGKILL);
  ::waitpid(doomed, nullptr, 0);
  ASSERT_TRUE(client.wait_durable(10s));
  client.close();
  EXPECT_GT(value, 500u);
  EXPECT_EQ(server.terminate(), 0);
  expect_nothing_held(file);
}

TEST(LocalReader, SaysWhatIsMissing) {
  TemporaryFolder folder;
  const auto none = client::LocalShard::open((folder.path() / "0_0.shard").string(), 0ms);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
  ServerProcess server(folder.path() / "data", {"--publish-ms", "0"});
  make_world(server.port(), "w", 100);
  ASSERT_EQ(run_program(TERRAZZO_BIN_DIR "/terrazzo",
                        {"paint", "w", "--rect", "5,5,2,2", "--tile", "9", "--server", server.http_url()})
                .exit_code,
            0);
  const std::string file = fs::directory_iterator(folder.path() / "data/worlds")->path() / "0_0.shard";
  const auto off = client::LocalShard::open(file, 0ms);
  ASSERT_FALSE(off.ok());
  EXPECT_NE(off.error().message.find("--publish-ms"), std::string::npos) << off.error().message;
}

}  // namespace
}  // namespace terrazzo::integration

// Programs on the server's host that read a shard's file while it is painted at full speed: never half an edit, never
// back in time, and what readers held that were killed, or that held it for too long, comes back.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http_peer.h"
#include "server/io/mmap_page_file.h"
#include "server/io/shared_page.h"
#include "server/runtime/clock.h"
#include "server/storage/root_publisher.h"
#include "server/storage/shard_store.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "terrazzo/local_shard.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Every edit writes all of it: nine chunks, some whole and some in part, in three regions. The first cell tells which
// edit it was, and each of the others follows from it, all different: that is 40 KB of log for an edit, so that
// checkpoints, after which pages are written over, follow each other quickly.
const map::Rect kArea = map::Rect::of_size(500, 490, 80, 70);
constexpr std::uint32_t kTiles = 1u << 20;
std::vector<map::Cell> picture(std::uint32_t value) {
  std::vector<map::Cell> cells(kArea.area());
  for (std::uint32_t i = 0; i < cells.size(); ++i) cells[i] = map::Cell{(value + i * 2654435761u) % kTiles};
  return cells;
}

// Which edit's picture the area shows, or what is wrong with it.
Result<std::uint32_t> look(const client::LocalShard& shard) {
  std::vector<map::Cell> cells(kArea.area());
  if (const Status done = shard.read(1, kArea, cells); !done) return done.error();
  if (cells == picture(cells.front().bits)) return cells.front().bits;
  return Error{ErrorCode::internal, fmt::format("neither edit {} nor another one", cells.front().bits)};
}

// What one reader finds wrong; empty: nothing. Ends when it has seen so many states, a new one each time. Each is
// looked at twice, when it is new and when `later` edits have followed: who writes over pages that are looked at is
// found out.
std::string watch(const std::string& file, int states, std::uint64_t later) {
  auto shard = client::LocalShard::open(file, 5s);
  if (!shard) return shard.error().message;
  Lsn last;
  while (states > 0) {
    if (const Status moved = (*shard)->refresh(); !moved) return moved.error().message;
    if ((*shard)->lsn() < last) return "back in time";
    if ((*shard)->lsn() == last) continue;
    last = (*shard)->lsn();
    --states;
    const auto first = look(**shard);
    if (!first) return first.error().message;
    while ((*shard)->newest_lsn().value < last.value + later) std::this_thread::yield();
    const auto second = look(**shard);
    if (!second) return second.error().message;
    if (*first != *second) return fmt::format("edit {} became {} while it was looked at", *first, *second);
  }
  return {};
}

// A process of its own; its exit code is 0 when it found nothing wrong.
pid_t in_a_process(const std::function<std::string()>& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const std::string wrong = work();
  if (!wrong.empty()) std::fprintf(stderr, "reader: %s\n", wrong.c_str());
  ::_exit(wrong.empty() ? 0 : 1);
}
pid_t start_reader(const std::string& file, int states, std::uint64_t later) {
  return in_a_process([&] { return watch(file, states, later); });
}

void checkpoint(storage::ShardStore& store) {
  auto step = store.begin_checkpoint({});
  while (step.ok() && *step != storage::CheckpointStep::done)
    step = *step == storage::CheckpointStep::work ? store.checkpoint_work(1000) : store.checkpoint_synced({});
  EXPECT_TRUE(step.ok());
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
  checkpoint(**store);
  checkpoint(**store);
  EXPECT_TRUE((*store)->pins().empty());
  EXPECT_LT((*store)->pages().live + (*store)->pages().pending, 60u);
  EXPECT_TRUE((*store)->verify().ok());
}

// A server with one shard, and who paints it.
class LocalReader : public testing::Test {
 protected:
  void start(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--publish-ms", "1", "--segment-mib", "1"});
    server_ = std::make_unique<ServerProcess>(folder_.path() / "data", flags);
    make_world(server_->port(), "w", kTiles);
    client::ConnectOptions options;
    options.url = server_->websocket_url();
    client_ = std::make_unique<client::Client>(options);
    ASSERT_TRUE(client_->connect().ok());
    ASSERT_TRUE(client_->open("w").ok());
    ASSERT_TRUE(client_->wait_live(10s).ok());
    paint();
    ASSERT_TRUE(client_->wait_durable(10s));
    file_ = fs::directory_iterator(folder_.path() / "data/worlds")->path() / "0_0.shard";
  }
  void paint() {
    if (client_->edits_waiting() > 200) return;
    ASSERT_TRUE(client_->edit(client::EditDraft().set(1, kArea, picture(value_++))).ok());
  }
  // At full speed, for a moment.
  void paint_on() {
    for (int i = 0; i < 20; ++i) paint();
    client_->run_once(1ms);
  }

  // Of all cores, since the server's start.
  std::uint64_t checkpoints() const {
    std::istringstream metrics(http(server_->port(), "GET", "/metrics").body);
    std::uint64_t sum = 0;
    for (std::string line; std::getline(metrics, line);)
      if (line.starts_with("terrazzo_checkpoints_total{")) sum += std::stoull(line.substr(line.rfind(' ')));
    return sum;
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<client::Client> client_;
  std::uint32_t value_ = 1;  // of the next edit
  std::string file_;
};

TEST_F(LocalReader, NeverSeesHalfAnEditWhileOthersPaintAtFullSpeed) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  std::vector<pid_t> readers;
  readers.push_back(start_reader(file_, 300, 0));
  readers.push_back(start_reader(file_, 30, 40));
  readers.push_back(start_reader(file_, 2, 1500));
  const pid_t doomed = start_reader(file_, 1 << 30, 0);
  std::size_t left = readers.size();
  bool killed = false;
  while (left > 0) {
    paint_on();
    if (value_ > 2000 && !std::exchange(killed, true)) ::kill(doomed, SIGKILL);
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0 || ended == doomed || ended == server_->pid()) continue;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a reader saw what never was";
    --left;
  }
  if (!std::exchange(killed, true)) ::kill(doomed, SIGKILL);
  ::waitpid(doomed, nullptr, 0);
  EXPECT_GE(checkpoints(), 4u) << "no page was ever used again, so this showed nothing";
  ASSERT_TRUE(client_->wait_durable(10s));
  client_->close();
  EXPECT_GT(value_, 500u);
  EXPECT_EQ(server_->terminate(), 0);
  expect_nothing_held(file_);
}

TEST_F(LocalReader, AViewThatIsKeptForTooLongIsClosedAndSaysSo) {
  ASSERT_NO_FATAL_FAILURE(start({"--reader-hold-s", "1"}));
  auto shard = client::LocalShard::open(file_, 5s);
  ASSERT_TRUE(shard.ok()) << shard.error().message;
  const auto began = std::chrono::steady_clock::now();
  const auto kept = look(**shard);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  const auto chunk = (*shard)->chunk(1, map::chunk_of(map::CellPos{510, 500}));
  ASSERT_TRUE(chunk.ok() && !chunk->cells.empty());
  const map::Cell kept_cell = chunk->at(20 * 32 + 30);
  for (;;) {
    paint_on();
    ASSERT_LT(std::chrono::steady_clock::now() - began, 60s) << "nobody closed it";
    const map::Cell seen = chunk->at(20 * 32 + 30);
    if (!(*shard)->valid()) break;
    ASSERT_EQ(seen, kept_cell) << "changed before it was closed";
    const auto now = look(**shard);
    if (!now) break;
    ASSERT_EQ(*now, *kept);
  }
  EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
  const Status why = (*shard)->valid();
  ASSERT_FALSE(why.ok());
  EXPECT_EQ(why.error().code, ErrorCode::conflict);
  EXPECT_NE(why.error().message.find("--reader-hold-s"), std::string::npos) << why.error().message;
  EXPECT_EQ((*shard)->chunk(1, map::chunk_of(map::CellPos{510, 500})).error().message, why.error().message);
  EXPECT_EQ(look(**shard).error().message, why.error().message);
  // The span may still be touched, and what was on its page has long been written over.
  while (chunk->at(20 * 32 + 30) == kept_cell) paint_on();
  EXPECT_FALSE((*shard)->valid().ok());
  const Lsn newest = (*shard)->newest_lsn();
  ASSERT_TRUE((*shard)->refresh().ok());
  EXPECT_GE((*shard)->lsn(), newest);
  const auto moved = look(**shard);
  ASSERT_TRUE(moved.ok()) << moved.error().message;
  EXPECT_GT(*moved, *kept);
  const std::string metrics = http(server_->port(), "GET", "/metrics").body;
  EXPECT_NE(metrics.find("terrazzo_reader_evictions_total"), std::string::npos);
  EXPECT_NE(server_->log().find("its view was closed"), std::string::npos) << server_->log();
}

// What becomes of a program that looks at a shard and whose file somebody cuts off then.
std::string look_at_a_file_that_is_cut_off(const std::string& file) {
  auto shard = client::LocalShard::open(file, 5s);
  if (!shard) return shard.error().message;
  const auto chunk = (*shard)->chunk(1, map::chunk_of(map::CellPos{510, 500}));
  if (!look(**shard) || !chunk) return "it could not be read before";
  fs::resize_file(file, 2 * 4096);
  if (!chunk->at(5).empty()) return "nothing was cut off";
  for (const Status& after : {(*shard)->valid(), (*shard)->refresh(), (*shard)->valid()})
    if (after.ok()) return "nobody noticed";
  const auto seen = look(**shard);
  return seen.error().message.find("cut it off") != std::string::npos ? "" : seen.error().message;
}

TEST_F(LocalReader, AFileThatIsCutOffIsAnErrorWithTheGuard) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  const pid_t reader = in_a_process([&] {
    client::guard_local_shards();
    return look_at_a_file_that_is_cut_off(file_);
  });
  int status = 0;
  ::waitpid(reader, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(LocalReader, WithoutTheGuardTheSignalIsTheProgramsOwn) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  const pid_t reader = in_a_process([&] {
    ::signal(SIGBUS, [](int) { ::_exit(42); });
    return look_at_a_file_that_is_cut_off(file_);
  });
  int status = 0;
  ::waitpid(reader, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

// Faults in the program's own files go where they went before.
TEST(BusGuard, OnlyTakesTheFaultsOfShards) {
  TemporaryFolder folder;
  const pid_t program = in_a_process([&]() -> std::string {
    ::signal(SIGBUS, [](int) { ::_exit(42); });
    client::guard_local_shards();
    client::guard_local_shards();
    auto page = std::move(*io::SharedPage::open(folder.path() / "own"));
    fs::resize_file(folder.path() / "own", 0);
    return fmt::format("no fault: {}", *static_cast<volatile char*>(page->memory()));
  });
  int status = 0;
  ::waitpid(program, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

TEST_F(LocalReader, ARestartOfTheServerClosesViews) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  auto shard = client::LocalShard::open(file_, 5s);
  ASSERT_TRUE(shard.ok()) << shard.error().message;
  ASSERT_TRUE(look(**shard).ok());
  server_->kill();
  EXPECT_TRUE(look(**shard).ok()) << "nobody writes there now";
  EXPECT_EQ(client::LocalShard::open(file_, 0ms).error().code, ErrorCode::overloaded) << "it will never see news";
  server_ = std::make_unique<ServerProcess>(folder_.path() / "data", std::vector<std::string>{"--publish-ms", "1"});
  ASSERT_EQ(run_program(TERRAZZO_BIN_DIR "/terrazzo",
                        {"paint", "w", "--rect", "500,490,80,70", "--tile", "77", "--server", server_->http_url()})
                .exit_code,
            0);
  const auto closed = look(**shard);
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().code, ErrorCode::conflict);
  EXPECT_NE(closed.error().message.find("restart"), std::string::npos) << closed.error().message;
  while (!(*shard)->refresh()) std::this_thread::yield();
  std::vector<map::Cell> now(kArea.area());
  ASSERT_TRUE((*shard)->read(1, kArea, now).ok());
  EXPECT_EQ(now, std::vector<map::Cell>(now.size(), map::Cell{77}));
}

// The server's part in this process, with views closed after a fifth of a millisecond: readers are interrupted in the
// middle of reading all the time.
class Writer {
 public:
  explicit Writer(const fs::path& file) {
    file_ = std::move(*io::MmapPageFile::create(file));
    store_ = std::move(*storage::ShardStore::create(*file_, {WorldId{1}, 0, 0}));
    page_ = std::move(*io::SharedPage::open(fs::path(file).replace_extension(".readers")));
    publisher_ =
        std::make_unique<storage::RootPublisher>(*static_cast<shardfile::PublishedRoot*>(page_->memory()), 200'000);
  }
  void write() {
    ++value_;
    ASSERT_TRUE(store_->begin_edit(next(store_->lsn()), 60).ok());
    const map::Rect chunks = map::chunks_of(kArea);
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
        std::fill_n(store_->write(1, static_cast<std::uint16_t>(y * 256 + x)), 1024, value_);
    publisher_->publish(*store_, file_->page_count(), runtime::monotonic_ns());
    while (store_->reclaim(10'000)) {
    }
    // What was let go is written over after the next one.
    if (value_ % 8 == 0) checkpoint(*store_);
  }
  std::uint64_t evictions() const { return publisher_->evictions(); }
  storage::PageNo pages() const { return store_->pages().total; }

 private:
  std::unique_ptr<io::MmapPageFile> file_;
  std::unique_ptr<storage::ShardStore> store_;
  std::unique_ptr<io::SharedPage> page_;
  std::unique_ptr<storage::RootPublisher> publisher_;
  std::uint32_t value_ = 0;
};

// Reads without asking first whether it may; what is proved afterwards must be right. Ends when views were closed under
// it so often, and what it saw was torn at least once.
std::string read_and_prove(const std::string& file, int closed) {
  auto shard = client::LocalShard::open(file, 5s);
  if (!shard) return shard.error().message;
  bool torn = false;
  int proved = 0;
  const map::Rect chunks = map::chunks_of(kArea);
  while (closed > 0 || !torn || proved == 0) {
    if (const Status moved = (*shard)->refresh(); !moved) return moved.error().message;
    std::vector<client::LocalChunk> area;
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
        if (auto chunk = (*shard)->chunk(1, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}))
          area.push_back(*chunk);
    if (area.empty()) continue;
    const std::uint32_t value = area.front().at(0).bits;
    for (bool whole = true, valid = true; valid && area.size() == 12;) {
      for (const client::LocalChunk& chunk : area)
        for (const map::Cell cell : chunk.cells) whole = whole && cell.bits == value;
      valid = (*shard)->valid().ok();
      if (valid && !whole) return "what was torn was called whole";
      torn = torn || !whole;
      proved += valid ? 1 : 0;
      closed -= valid ? 0 : 1;
    }
  }
  return {};
}

TEST(ClosedViews, WhatIsProvedIsWholeAndTheFileDoesNotGrow) {
  TemporaryFolder folder;
  const std::string file = folder.path() / "0_0.shard";
  Writer writer(file);
  ASSERT_NO_FATAL_FAILURE(writer.write());
  const pid_t reader = in_a_process([&] { return read_and_prove(file, 300); });
  int status = 0;
  while (::waitpid(reader, &status, WNOHANG) == 0) {
    ASSERT_NO_FATAL_FAILURE(writer.write());
    if (writer.pages() < 4096) continue;
    ::kill(reader, SIGKILL);
    FAIL() << "nothing is given back";
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_GE(writer.evictions(), 300u);
}

TEST(LocalReaderOpens, SaysWhatIsMissing) {
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

// ---- programs ----

class LocalPrograms : public LocalReader {
 protected:
  Ran paint(const std::string& rect, const std::string& tile) {
    return run_program(TERRAZZO_BIN_DIR "/terrazzo",
                       {"paint", "w", "--rect", rect, "--tile", tile, "--server", server_->http_url()});
  }
  Ran read_local(const std::string& world, const std::string& rect, const std::string& layer = "1") {
    return run_program(TERRAZZO_BIN_DIR "/terrazzo",
                       {"read-local", (folder_.path() / "data").string(), world, "--layer", layer, "--rect", rect});
  }
};

TEST_F(LocalPrograms, ReadLocalPrintsCellsAcrossShards) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  ASSERT_EQ(paint("-2,-1,5,2", "7").exit_code, 0);
  ASSERT_EQ(paint("1,0,1,1", "9").exit_code, 0);
  const Ran read = read_local("w", "-3,-1,6,3");
  EXPECT_EQ(read.exit_code, 0) << read.output;
  EXPECT_NE(read.output.find("0,7,7,7,7,7\n0,7,7,7,9,7\n0,0,0,0,0,0\n"), std::string::npos) << read.output;
  for (const char* shard :
       {"shard -1,-1 after edit", "shard 0,-1 after edit", "shard -1,0 after edit", "shard 0,0 after"})
    EXPECT_NE(read.output.find(shard), std::string::npos) << read.output;
  // Where nobody has ever painted there is nothing to open.
  const Ran empty = read_local("w", "20000,20000,2,1");
  EXPECT_EQ(empty.exit_code, 0) << empty.output;
  EXPECT_NE(empty.output.find("\n0,0\n"), std::string::npos) << empty.output;
}

TEST_F(LocalPrograms, ReadLocalSaysWhatIsWrong) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  const auto expect_failure = [](const Ran& ran, const char* words) {
    EXPECT_EQ(ran.exit_code, 1) << ran.output;
    EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
  };
  expect_failure(read_local("x", "0,0,1,1"), "there are: w");
  expect_failure(read_local("w", "0,0,1,1", "sky"), "there is no tile layer \"sky\"");
  expect_failure(run_program(TERRAZZO_BIN_DIR "/terrazzo", {"read-local", "/nowhere", "w", "--rect", "0,0,1,1"}),
                 "no data folder");
  // No server: the words say what to do, and that is so.
  server_->kill();
  expect_failure(read_local("w", "500,490,1,1"), "terrazzo watch w --once --rect 0,0,1,1");
  server_ = std::make_unique<ServerProcess>(folder_.path() / "data");
  EXPECT_EQ(run_program(TERRAZZO_BIN_DIR "/terrazzo",
                        {"watch", "w", "--once", "--rect", "0,0,1,1", "--server", server_->http_url()})
                .exit_code,
            0);
  EXPECT_NE(read_local("w", "500,490,1,1").output.find("\n1\n"), std::string::npos);
}

TEST_F(LocalPrograms, TheExampleCounts) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  // A whole chunk, which is kept as one number, and two cells.
  ASSERT_EQ(paint("64,64,32,32", "7").exit_code, 0);
  ASSERT_EQ(paint("8190,8191,4,1", "8").exit_code, 0);
  const Ran counted = run_program(TERRAZZO_BIN_DIR "/count_cells", {file_, "1"});
  EXPECT_EQ(counted.exit_code, 0) << counted.output;
  const std::vector<map::Cell> cells = picture(1);
  const auto painted = std::ranges::count_if(cells, [](map::Cell cell) { return !cell.empty(); });
  EXPECT_EQ(counted.output.substr(0, counted.output.find(" after")),
            fmt::format("{} cells are painted", painted + 1024 + 2));
  EXPECT_EQ(run_program(TERRAZZO_BIN_DIR "/count_cells", {}).exit_code, 2);
}

}  // namespace
}  // namespace terrazzo::integration

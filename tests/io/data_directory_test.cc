#include "server/io/data_directory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "server/io/durable_file.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::io {
namespace {

std::unique_ptr<DataDirectory> opened(const std::string& path) {
  Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(path);
  EXPECT_TRUE(data.ok()) << data.error().message;
  return data ? *std::move(data) : nullptr;
}

void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::size_t files_in(const std::string& path) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
}

std::string hash_of(char digit) {
  return std::string(64, digit);
}

TEST(DataDirectory, CountsRunsAndKeepsItsSecret) {
  ScratchFolder folder;
  const std::string path = folder / "new/deep/data";
  std::array<std::byte, 32> secret{};
  {
    const auto data = opened(path);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->incarnation(), Incarnation{1});
    secret = data->secret();
    EXPECT_NE(secret, (std::array<std::byte, 32>{}));
    struct stat about {};
    ASSERT_EQ(::stat((path + "/node.secret").c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u) << "nobody else may read it";
  }
  const auto again = opened(path);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->incarnation(), Incarnation{2});
  EXPECT_EQ(again->secret(), secret);
  ScratchFolder other;
  EXPECT_NE(opened(other / "data")->secret(), secret);
}

TEST(DataDirectory, ASecondServerIsToldWhoHasIt) {
  ScratchFolder folder;
  auto data = opened(folder / "data");
  const Result<std::unique_ptr<DataDirectory>> second = DataDirectory::open(folder / "data");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find(folder / "data"), std::string::npos) << second.error().message;
  data.reset();
  const auto third = opened(folder / "data");
  ASSERT_TRUE(third);
  EXPECT_EQ(third->incarnation(), Incarnation{2}) << "who was refused has counted no run";
}

// The lock dies with its process, however that ends.
TEST(DataDirectory, AKilledServerLeavesNoLock) {
  ScratchFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(folder / "data");
    const char answer = data.ok() ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const Result<std::unique_ptr<DataDirectory>> refused = DataDirectory::open(folder / "data");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(std::to_string(child)), std::string::npos) << refused.error().message;
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(opened(folder / "data"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(DataDirectory, RefusesWhatItCannotBelieve) {
  ScratchFolder folder;
  const std::string path = folder / "data", node = path + "/node.json";
  opened(path).reset();
  for (const char* text : {"", "[]", "{\"format\": 1", "{\"format\": 1}", "{\"format\": 1, \"incarnation\": -3}"}) {
    put(node, text);
    const Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(path);
    ASSERT_FALSE(data.ok()) << text;
    EXPECT_NE(data.error().message.find("node.json"), std::string::npos) << data.error().message;
  }
  put(node, R"({"format": 2, "incarnation": 5})");
  const Result<std::unique_ptr<DataDirectory>> newer = DataDirectory::open(path);
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, ErrorCode::unsupported);
  EXPECT_EQ(newer.error().message, node + " says format 2, this server knows 1: use the version that wrote it");
  put(node, R"({"format": 1, "incarnation": 5})");
  put(path + "/node.secret", "short");
  EXPECT_FALSE(DataDirectory::open(path).ok());
}

// Counting incarnations from 1 again would write new log segments over old ones.
TEST(DataDirectory, WorldsOrLogsWithoutTheirNodeFileAreRefused) {
  for (const bool with_world : {true, false}) {
    ScratchFolder folder;
    const std::string path = folder / "data";
    {
      const auto data = opened(path);
      if (with_world) {
        ASSERT_TRUE(data->write_world(WorldId{7}, "{}").ok());
      } else {
        const Result<int> segment = data->create_segment(0, Incarnation{1}, 1, 65536);
        ASSERT_TRUE(segment.ok());
        ::close(*segment);
      }
    }
    std::filesystem::remove(path + "/node.json");
    const Result<std::unique_ptr<DataDirectory>> refused = DataDirectory::open(path);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("node.json is missing"), std::string::npos) << refused.error().message;
  }
}

// A name that leads to itself cannot be looked up, for root neither: like a disk that fails at this moment.
TEST(DataDirectory, WhatCannotBeLookedForIsNotTakenForMissing) {
  ScratchFolder folder;
  const std::string path = folder / "data";
  const auto put_loop = [](const std::string& name) {
    std::filesystem::remove(name);
    std::filesystem::create_symlink(name, name);
  };
  auto data = opened(path);
  ASSERT_TRUE(data->write_world(WorldId{7}, "{}").ok());
  ASSERT_TRUE(data->write_asset(hash_of('a'), "x").ok());
  put_loop(path + "/worlds/7/world.json");
  EXPECT_FALSE(data->list_worlds().ok());
  put_loop(path + "/assets/" + hash_of('a').substr(0, 2) + "/" + hash_of('a').substr(2));
  const Result<std::string> asset = data->read_asset(hash_of('a'));
  ASSERT_FALSE(asset.ok());
  EXPECT_EQ(asset.error().code, ErrorCode::internal);
  EXPECT_FALSE(data->write_asset(hash_of('a'), "x").ok());
  put_loop(data->shard_path(WorldId{7}, 0, 0));
  EXPECT_FALSE(data->exists(data->shard_path(WorldId{7}, 0, 0)).ok());
  data.reset();
  for (const char* file : {"/node.json", "/node.secret"}) {
    const std::string text = *read_file(path + file);
    put_loop(path + file);
    EXPECT_FALSE(DataDirectory::open(path).ok()) << file;
    std::filesystem::remove(path + file);
    put(path + file, text);
  }
  EXPECT_TRUE(DataDirectory::open(path).ok());
}

TEST(DataDirectory, AFileInTheWayIsNamed) {
  ScratchFolder folder;
  put(folder / "data", "not a folder");
  const Result<std::unique_ptr<DataDirectory>> data = DataDirectory::open(folder / "data");
  ASSERT_FALSE(data.ok());
  EXPECT_NE(data.error().message.find(folder / "data"), std::string::npos) << data.error().message;
  EXPECT_FALSE(DataDirectory::open(folder / "data/below").ok());
}

TEST(DataDirectory, Worlds) {
  ScratchFolder folder;
  const auto data = opened(folder / "data");
  const Result<WorldId> a = data->new_world_id(), b = data->new_world_id();
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->value, b->value);
  EXPECT_LT(a->value, std::uint64_t{1} << 53);
  EXPECT_TRUE(data->list_worlds()->empty());
  ASSERT_TRUE(data->write_world(*a, "{\"name\": \"../../etc\"}").ok());
  ASSERT_TRUE(data->write_world(*b, "first").ok());
  ASSERT_TRUE(data->write_world(*b, "second").ok());
  // A crash between the folder and its metadata.
  ASSERT_TRUE(data->make_shard_folder(WorldId{12345}).ok());
  const std::vector<WorldId> worlds = *data->list_worlds();
  EXPECT_EQ((std::set<WorldId>(worlds.begin(), worlds.end())), (std::set<WorldId>{*a, *b}));
  EXPECT_EQ(*data->read_world(*b), "second");
  const Result<std::string> none = data->read_world(WorldId{1});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
}

TEST(DataDirectory, ShardsOfAWorld) {
  ScratchFolder folder;
  const auto data = opened(folder / "data");
  const WorldId world{77};
  EXPECT_TRUE(data->list_shards(world)->empty());
  ASSERT_TRUE(data->write_world(world, "{}").ok());
  for (const auto& [x, y] : {std::pair{0, 0}, {-1, 3}, {2147483647, -2147483647}})
    put(data->shard_path(world, x, y), "");
  EXPECT_TRUE(*data->exists(data->shard_path(world, -1, 3)));
  EXPECT_FALSE(*data->exists(data->shard_path(world, 3, -1)));
  std::set<std::pair<int, int>> found;
  const std::vector<ShardFile> shards = *data->list_shards(world);
  for (const ShardFile& shard : shards) found.emplace(shard.x, shard.y);
  EXPECT_EQ(found, (std::set<std::pair<int, int>>{{0, 0}, {-1, 3}, {2147483647, -2147483647}}));
}

TEST(DataDirectory, Assets) {
  ScratchFolder folder;
  const auto data = opened(folder / "data");
  const std::string bytes("a\0b\xff", 4);
  const Result<std::string> none = data->read_asset(hash_of('a'));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
  ASSERT_TRUE(data->write_asset(hash_of('a'), bytes).ok());
  ASSERT_TRUE(data->write_asset(hash_of('a'), bytes).ok());
  EXPECT_FALSE(data->read_asset(hash_of('b')).ok());
  EXPECT_EQ(*data->read_asset(hash_of('a')), bytes);
}

TEST(DataDirectory, LogSegments) {
  ScratchFolder folder;
  const auto data = opened(folder / "data");
  EXPECT_TRUE(data->list_segments()->empty());
  constexpr std::uint64_t kBytes = 3 * 1024 * 1024 + 4096;
  std::set<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>> expected, found;
  for (const std::uint32_t core : {0u, 1u, 120u}) {
    const Result<int> fd = data->create_segment(core, Incarnation{2}, 7 + core, kBytes);
    ASSERT_TRUE(fd.ok()) << fd.error().message;
    struct stat about {};
    ASSERT_EQ(::fstat(*fd, &about), 0);
    EXPECT_EQ(static_cast<std::uint64_t>(about.st_size), kBytes);
    EXPECT_GE(static_cast<std::uint64_t>(about.st_blocks) * 512, kBytes) << "written, not only reserved";
    ::close(*fd);
    expected.emplace(core, 2, 7 + core);
  }
  // What is no segment is left alone.
  put(folder / "data/wal/core-00/notes.txt", "");
  put(folder / "data/wal/readme", "");
  const std::vector<SegmentName> segments = *data->list_segments();
  for (const SegmentName& segment : segments) found.emplace(segment.core, segment.incarnation.value, segment.number);
  EXPECT_EQ(found, expected);
  const Result<std::vector<std::byte>> bytes = data->read_segment(1, Incarnation{2}, 8);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, std::vector<std::byte>(kBytes));
  ASSERT_TRUE(data->remove_segment(1, Incarnation{2}, 8).ok());
  EXPECT_TRUE(data->remove_segment(1, Incarnation{2}, 8).ok()) << "removing is repeated after a crash";
  EXPECT_EQ(data->list_segments()->size(), 2u);
  EXPECT_FALSE(data->create_segment(0, Incarnation{2}, 7, kBytes).ok()) << "over another one";
}

// ---- files replaced whole ----

TEST(DurableFile, ReadersSeeOneVersionOrTheOther) {
  ScratchFolder folder;
  const std::string path = folder / "file";
  const auto version = [](int number) {
    return std::string(50'000 + static_cast<std::size_t>(number), static_cast<char>('a' + number));
  };
  ASSERT_TRUE(replace_file(path, version(0)).ok());
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 1; i <= 100; ++i) EXPECT_TRUE(replace_file(path, version(i % 26)).ok());
    done.store(true);
  });
  std::uint64_t reads = 0, mixed = 0;
  while (!done.load() || reads == 0) {
    const Result<std::string> text = read_file(path);
    ++reads;
    mixed += !text.ok() || text->empty() || *text != version(text->front() - 'a');
  }
  writer.join();
  EXPECT_EQ(mixed, 0u) << "of " << reads << " reads";
  EXPECT_EQ(files_in(folder / ""), 1u) << "nothing is left beside it";
}

TEST(DurableFile, AFailedReplacementLeavesTheOldFileAndNothingElse) {
  ScratchFolder folder;
  const std::string path = folder / "file";
  ASSERT_TRUE(replace_file(path, "old").ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = 8192;
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Status replaced = replace_file(path, std::string(20'000, 'n'));
  const auto data = DataDirectory::open(folder / "data");
  const Result<int> segment = data.ok() ? (*data)->create_segment(0, Incarnation{1}, 1, 65536) : Result<int>(-1);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, before_signal);
  ASSERT_FALSE(replaced.ok());
  EXPECT_EQ(replaced.error().code, ErrorCode::overloaded) << replaced.error().message;
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(files_in(folder / ""), 2u);
  ASSERT_TRUE(data.ok()) << data.error().message;
  ASSERT_FALSE(segment.ok());
  EXPECT_EQ(segment.error().code, ErrorCode::overloaded) << segment.error().message;
  EXPECT_TRUE((*data)->list_segments()->empty()) << "half a segment is no segment";
}

TEST(DurableFile, FailuresNameThePathAndWhatToDo) {
  ScratchFolder folder;
  const Status made = replace_file(folder / "missing/file", "x");
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("missing/file"), std::string::npos) << made.error().message;
  EXPECT_NE(made.error().message.find("; check that the path is right"), std::string::npos) << made.error().message;
}

}  // namespace
}  // namespace terrazzo::io

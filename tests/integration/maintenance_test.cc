// terrazzo-server inspect and verify, on a folder that a real server has filled.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server/io/data_directory.h"
#include "server/io/read_only_page_file.h"
#include "server/maintenance/directory_check.h"
#include "server/storage/shard_store.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"
#include "visitor.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";

// Two shards, three layers' worth of pages, a version, an undo point; stopped cleanly.
void fill(const fs::path& data) {
  ServerProcess server(data, {"--segment-mib", "1"});
  make_world(server.port(), "w", 1000);
  const std::unique_ptr<client::Client> entered = enter(server.port());
  client::Client& client = *entered;
  ASSERT_TRUE(client.edit(client::EditDraft().fill(1, map::Rect::of_size(8000, 5, 400, 40), map::Cell{3})).ok());
  ASSERT_TRUE(client.wait_durable(10s));
  ASSERT_EQ(http(server.port(), "POST", "/v1/worlds/w/versions", R"({"name":"one"})").status, 201u);
  ASSERT_TRUE(client.edit(client::EditDraft().fill(1, map::Rect::of_size(100, 100, 300, 300), map::Cell{4})).ok());
  ASSERT_TRUE(client.edit(client::EditDraft().set(1, {8191, 7}, map::Cell{5})).ok());
  ASSERT_TRUE(client.wait_durable(10s));
  const Ran running = run_program(kServer, {"verify", data.string()});
  EXPECT_EQ(running.exit_code, 2);
  EXPECT_NE(running.output.find("in use by process " + std::to_string(server.pid())), std::string::npos)
      << running.output;
  const Ran look = run_program(kServer, {"inspect", data.string()});
  EXPECT_EQ(look.exit_code, 0);
  EXPECT_NE(look.output.find("in use by process"), std::string::npos) << look.output;
  EXPECT_EQ(server.terminate(), 0);
}

void flip(const std::string& path, std::uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

TEST(Maintenance, InspectTellsWhatThereIs) {
  TemporaryFolder folder;
  fill(folder.path() / "data");
  const Ran look = run_program(kServer, {"inspect", (folder.path() / "data").string(), "--json"});
  ASSERT_EQ(look.exit_code, 0) << look.output;
  const auto report = nlohmann::json::parse(look.output);
  EXPECT_EQ(report["holder"], "");
  ASSERT_EQ(report["worlds"].size(), 1u);
  ASSERT_EQ(report["worlds"][0]["shards"].size(), 2u);
  const auto& shard = report["worlds"][0]["shards"][0];
  EXPECT_EQ(shard["shard"], nlohmann::json({0, 0}));
  EXPECT_EQ(shard["lsn"], 3);
  EXPECT_EQ(shard["versions"], 1);
  EXPECT_EQ(shard["undo_points"], 1);
  EXPECT_EQ(shard["layers"][0]["id"], 1);
  EXPECT_EQ(run_program(kServer, {"inspect", folder.path().string()}).exit_code, 2);
}

TEST(Maintenance, VerifyProvesWhatIsWholeAndNamesEveryDamage) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  const Ran whole = run_program(kServer, {"verify", path});
  ASSERT_EQ(whole.exit_code, 0) << whole.output;
  EXPECT_NE(whole.output.find("all proven"), std::string::npos) << whole.output;

  const auto data = io::DataDirectory::look_at(path);
  ASSERT_TRUE(data.ok());
  const auto worlds = (*data)->list_worlds();
  const std::string shard = (*data)->shard_path(worlds->front(), 0, 0);
  storage::PageNo pages = 0, free = 0;
  {
    const auto file = io::ReadOnlyPageFile::open(shard, io::Reads::here_and_there);
    ASSERT_TRUE(file.ok());
    const auto store = storage::ShardStore::open(**file, {worlds->front(), 0, 0});
    ASSERT_TRUE(store.ok());
    pages = (*store)->pages().total;
    free = (*store)->pages().free;
  }
  // One byte of each page: all are found but those of free pages.
  storage::PageNo found = 0;
  for (storage::PageNo page = 0; page < pages; ++page) {
    const std::uint64_t at = std::uint64_t{page} * storage::kPageBytes + (page < 2 ? 40 : 3 + page * 37 % 4000);
    flip(shard, at);
    const maintenance::CheckReport report = maintenance::check_directory(**data);
    found += report.findings.empty() ? 0 : 1;
    if (!report.findings.empty()) {
      EXPECT_NE(report.findings[0].find(shard), std::string::npos) << report.findings[0];
    }
    flip(shard, at);
  }
  EXPECT_GE(found, pages - free - 1);
  EXPECT_GT(found, 30u);

  const auto damaged = [&](const std::string& file, std::uint64_t at) {
    flip(file, at);
    const Ran ran = run_program(kServer, {"verify", path});
    flip(file, at);
    EXPECT_EQ(ran.exit_code, 1) << file << ran.output;
    EXPECT_NE(ran.output.find("DAMAGED"), std::string::npos);
  };
  damaged(path + "/worlds/" + std::to_string(worlds->front().value) + "/world.json", 0);
  fs::resize_file(shard, fs::file_size(shard) - 4096);
  const Ran cut = run_program(kServer, {"verify", path, "--json"});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_NE(nlohmann::json::parse(cut.output)["findings"].dump().find("cut off"), std::string::npos) << cut.output;
}

// A kill came right after a shard's file was made.
TEST(Maintenance, AShardThatWasJustMadeIsNoDamage) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string(), backup = (folder.path() / "backup").string();
  fill(path);
  const auto data = io::DataDirectory::look_at(path);
  for (const std::uintmax_t bytes : {0u, 4096u}) {
    const std::string shard = (*data)->shard_path((*data)->list_worlds()->front(), 7, 0);
    std::ofstream(shard).close();
    fs::resize_file(shard, bytes);
    const Ran verified = run_program(kServer, {"verify", path});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
    EXPECT_EQ(run_program(kServer, {"inspect", path}).exit_code, 0);
    const Ran saved = run_program(kServer, {"backup", path, backup + std::to_string(bytes)});
    EXPECT_EQ(saved.exit_code, 0) << saved.output;
    const std::string restored = (folder.path() / std::to_string(bytes)).string();
    const Ran back = run_program(kServer, {"restore", backup + std::to_string(bytes), restored});
    EXPECT_EQ(back.exit_code, 0) << back.output;
  }
}

// Something, not the server, cut a file to nothing; its log was sealed long ago.
TEST(Maintenance, AShardThatIsEmptyAndHasAHistoryIsDamage) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  EXPECT_EQ(ServerProcess(path).terminate(), 0);  // seals what the run before left
  const auto data = io::DataDirectory::look_at(path);
  fs::resize_file((*data)->shard_path((*data)->list_worlds()->front(), 0, 0), 0);
  const Ran verified = run_program(kServer, {"verify", path});
  EXPECT_EQ(verified.exit_code, 1) << verified.output;
  EXPECT_NE(verified.output.find("has nothing in it"), std::string::npos) << verified.output;
  EXPECT_NE(verified.output.find("1 never written to"), std::string::npos) << verified.output;
}

// Restored from a backup that is older than the shards, or lost. Versions that it does not name must not be dropped.
TEST(Maintenance, AListOfVersionsThatIsOlderThanTheShardsIsFoundAndNothingIsDropped) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  // No log speaks of the shards any more: nobody looks before an edit does.
  EXPECT_EQ(ServerProcess(path).terminate(), 0);
  const auto worlds = (*io::DataDirectory::look_at(path))->list_worlds();
  const fs::path list = fs::path(path) / "worlds" / std::to_string(worlds->front().value) / "versions.json";
  const fs::path aside = folder.path() / "aside";
  fs::rename(list, aside);
  const Ran verified = run_program(kServer, {"verify", path});
  EXPECT_EQ(verified.exit_code, 1) << verified.output;
  EXPECT_NE(verified.output.find("older than the shard"), std::string::npos) << verified.output;
  {
    ServerProcess server(path);
    const std::unique_ptr<client::Client> entered = enter(server.port());
    client::Client& client = *entered;
    std::string refused;
    client.on_event([&](const client::Event& event) {
      if (const auto* rejected = std::get_if<client::EditRejected>(&event)) refused = rejected->error.message;
    });
    ASSERT_TRUE(client.edit(client::EditDraft().set(1, {1, 1}, map::Cell{9})).ok());
    ASSERT_TRUE(client.wait_until([&] { return !refused.empty(); }, 10s));
    EXPECT_NE(refused.find("versions.json"), std::string::npos) << refused;
    EXPECT_EQ(server.terminate(), 0);
  }
  fs::rename(aside, list);
  EXPECT_EQ(run_program(kServer, {"verify", path}).exit_code, 0);
  ServerProcess server(path);
  EXPECT_EQ(http(server.port(), "POST", "/v1/worlds/w/versions/one/restore").status, 200u);
  EXPECT_EQ(server.terminate(), 0);
}

// What a server on a restored folder must show.
void expect_restored(const std::string& data, std::uint32_t durable_before) {
  ServerProcess server(data);
  const std::unique_ptr<client::Client> entered = enter(server.port());
  client::Client& client = *entered;
  const auto view = client.subscribe(map::Rect::of_size(8180, 30, 20, 20));
  ASSERT_TRUE(client.wait_until([&] { return client.is_ready(*view); }, 10s));
  std::vector<map::Cell> cells(8);
  ASSERT_TRUE(client.read_rect(1, map::Rect::of_size(8190, 40, 4, 2), cells, client::View::confirmed));
  for (const map::Cell cell : cells) EXPECT_EQ(cell, cells[0]) << "half an edit";
  EXPECT_GE(cells[0].bits, durable_before);
  EXPECT_EQ(http(server.port(), "POST", "/v1/worlds/w/versions/kept/restore").status, 200u);
  EXPECT_TRUE(client.wait_until([&] { return client.read(1, {8193, 41}) == map::Cell{20}; }, 10s));
  EXPECT_EQ(server.terminate(), 0);
}

// A map that is painted all the time: pairs of cells in two shards that every edit writes alike.
TEST(Maintenance, ABackupMadeWhilePeoplePaintIsWholeAndHoldsAllThatWasDurableBefore) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string(), second = (folder.path() / "second").string();
  std::uint32_t durable_before = 0;
  {
    ServerProcess server(data, {"--segment-mib", "1"});
    make_world(server.port(), "w", 1u << 20);
    make_world(server.port(), "empty");
    const std::unique_ptr<client::Client> entered = enter(server.port());
    client::Client& client = *entered;
    const auto paint = [&](std::uint32_t value) {
      return *client.edit(client::EditDraft().fill(1, map::Rect::of_size(8190, 40, 4, 2), map::Cell{value}));
    };
    std::uint32_t value = 1;
    for (; value <= 20; ++value) paint(value);
    ASSERT_TRUE(client.wait_durable(10s));
    durable_before = 20;
    ASSERT_EQ(http(server.port(), "POST", "/v1/worlds/w/versions", R"({"name":"kept"})").status, 201u);
    ASSERT_TRUE(client.edit(client::EditDraft().fill(1, map::Rect::of_size(0, 0, 600, 600), map::Cell{7})).ok());
    ASSERT_TRUE(client.wait_durable(10s));
    const HttpAnswer begun = http(server.port(), "POST", "/v1/backups", R"({"name":"night"})");
    ASSERT_EQ(begun.status, 202u) << begun.body;
    EXPECT_EQ(http(server.port(), "POST", "/v1/backups", R"({"name":"../up"})").status, 400u);
    for (;;) {
      paint(value++);
      client.run_once(1ms);
      const auto state = nlohmann::json::parse(http(server.port(), "GET", "/v1/backups").body);
      ASSERT_EQ(state["problem"], "");
      if (!state["running"].get<bool>()) break;
    }
    ASSERT_TRUE(client.wait_durable(10s));
    EXPECT_EQ(nlohmann::json::parse(http(server.port(), "GET", "/v1/worlds/w/versions").body)["versions"].size(), 1u);
    const Ran again = run_program(TERRAZZO_BIN_DIR "/terrazzo", {"backup", "night", "--server", server.http_url()});
    EXPECT_EQ(again.exit_code, 1);
    EXPECT_NE(again.output.find("there already"), std::string::npos) << again.output;
    server.kill();
  }
  const std::string backup = data + "/backups/night";
  const Ran restored = run_program(kServer, {"restore", backup, second});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  EXPECT_NE(restored.output.find("all proven"), std::string::npos) << restored.output;
  EXPECT_EQ(run_program(kServer, {"restore", backup, second}).exit_code, 2);  // not over something
  expect_restored(second, durable_before);
  EXPECT_EQ(run_program(kServer, {"verify", second}).exit_code, 0);

  const Ran proven = run_program(kServer, {"verify", backup});
  EXPECT_EQ(proven.exit_code, 0) << proven.output;
  EXPECT_NE(proven.output.find("bytes proven"), std::string::npos) << proven.output;

  // A damaged or unfinished backup is refused, and nothing is left of the try.
  const std::string third = (folder.path() / "third").string();
  flip(backup + "/node.json.zst", 12);
  const Ran damaged = run_program(kServer, {"verify", backup});
  EXPECT_EQ(damaged.exit_code, 1) << damaged.output;
  EXPECT_NE(damaged.output.find("DAMAGED " + backup + "/node.json.zst"), std::string::npos) << damaged.output;
  EXPECT_EQ(run_program(kServer, {"restore", backup, third}).exit_code, 2);
  EXPECT_FALSE(fs::exists(third));
  fs::remove(backup + "/manifest.json");
  const Ran unfinished = run_program(kServer, {"restore", backup, third});
  EXPECT_EQ(unfinished.exit_code, 2);
  EXPECT_NE(unfinished.output.find("never finished"), std::string::npos) << unfinished.output;
}

TEST(Maintenance, TheLogBecomesHistoryThatCanBeRead) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  const Ran before = run_program(kServer, {"dump-wal", path});
  ASSERT_EQ(before.exit_code, 0) << before.output;
  EXPECT_NE(before.output.find("coordinated edit 1 of session"), std::string::npos) << before.output;
  EXPECT_NE(before.output.find("fill layer 1 [100,100,300,300] = 4, past in an undo point"), std::string::npos);
  EXPECT_NE(before.output.find("set layer 1 [8191,7,1,1] = 5, past in cells"), std::string::npos);
  EXPECT_EQ(before.output.find("sealed"), std::string::npos);
  {
    ServerProcess server(path, {"--segment-mib", "1"});  // recovery is past the old segments
    EXPECT_EQ(server.terminate(), 0);
  }
  const Ran after = run_program(kServer, {"dump-wal", path, "--json", "--shard", "0,0", "--from", "2"});
  ASSERT_EQ(after.exit_code, 0) << after.output;
  std::size_t lines = 0;
  std::istringstream output(after.output);
  for (std::string line; std::getline(output, line); ++lines) {
    const auto record = nlohmann::json::parse(line);
    EXPECT_EQ(record["incarnation"], 1);
    EXPECT_EQ(record["shard"], nlohmann::json({0, 0}));
  }
  EXPECT_EQ(lines, 2u) << after.output;
  EXPECT_NE(run_program(kServer, {"dump-wal", path}).output.find("sealed 1-1 of core"), std::string::npos);
  EXPECT_EQ(run_program(kServer, {"dump-wal", path, "--shard", "0;0"}).exit_code, 2);
  {
    ServerProcess server(path, {"--segment-mib", "1", "--history-mib", "0"});
    EXPECT_EQ(server.terminate(), 0);
  }
  EXPECT_EQ(run_program(kServer, {"dump-wal", path}).output.find("sealed"), std::string::npos);
}

// Operators move worlds/ to another disk and leave a link; completion in a shell ends a folder's name with a slash.
TEST(Maintenance, ABackupFollowsLinksAndIsRestoredIntoAFolderWhoseNameEndsWithASlash) {
  TemporaryFolder folder;
  const fs::path data = folder.path() / "data";
  fill(data);
  fs::rename(data / "worlds", folder.path() / "other disk");
  fs::create_directory_symlink(folder.path() / "other disk", data / "worlds");
  const std::string backup = (folder.path() / "backup").string(), second = (folder.path() / "second").string();
  const Ran made = run_program(kServer, {"backup", data.string(), backup});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const Ran restored = run_program(kServer, {"restore", backup, second + "/"});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  EXPECT_NE(restored.output.find("1 worlds, 2 shards"), std::string::npos) << restored.output;
  EXPECT_FALSE(fs::exists(second + ".partial"));
  EXPECT_FALSE(fs::exists(second + "/UNFINISHED"));

  // What cannot be copied is an error, not a hole in the backup.
  fs::remove_all(data / "history");
  fs::create_symlink(folder.path() / "nowhere", data / "history");
  const std::string holed = (folder.path() / "holed").string();
  const Ran refused = run_program(kServer, {"backup", data.string(), holed});
  EXPECT_EQ(refused.exit_code, 2) << refused.output;
  EXPECT_FALSE(fs::exists(holed));
}

TEST(Maintenance, ARestoreNeverReplacesAFile) {
  TemporaryFolder folder;
  fill(folder.path() / "data");
  const std::string backup = (folder.path() / "backup").string(), file = (folder.path() / "file").string();
  ASSERT_EQ(run_program(kServer, {"backup", (folder.path() / "data").string(), backup}).exit_code, 0);
  std::ofstream(file).close();
  EXPECT_EQ(run_program(kServer, {"restore", backup, file}).exit_code, 2);
  EXPECT_TRUE(fs::is_regular_file(file));
}

TEST(Maintenance, VerifyReadsTheHistoryAndTheListOfVersions) {
  TemporaryFolder folder;
  const fs::path data = folder.path() / "data";
  fill(data);
  {
    ServerProcess server(data, {"--segment-mib", "1"});  // seals the old segments
    EXPECT_EQ(server.terminate(), 0);
  }
  ASSERT_EQ(run_program(kServer, {"verify", data.string()}).exit_code, 0);
  std::size_t histories = 0, lists = 0;
  for (const auto& entry : fs::recursive_directory_iterator(data)) {
    const bool history = entry.path().extension() == ".hist", list = entry.path().filename() == "versions.json";
    if (!history && !list) continue;
    (history ? histories : lists) += 1;
    const std::string file = entry.path().string();
    for (const std::uint64_t at : {std::uint64_t{0}, history ? entry.file_size() / 2 : 0, entry.file_size() - 2}) {
      if (list && at != 0) continue;  // a flip inside a name leaves another name
      flip(file, at);
      const Ran ran = run_program(kServer, {"verify", data.string()});
      flip(file, at);
      EXPECT_EQ(ran.exit_code, 1) << file << " at " << at << ": " << ran.output;
      EXPECT_NE(ran.output.find(entry.path().filename().string()), std::string::npos) << ran.output;
    }
  }
  EXPECT_GT(histories, 0u);
  EXPECT_GT(lists, 0u);
}

// Opening takes the older root when the newest is damaged: the shard is whole then, and older than it was.
TEST(Maintenance, VerifyNamesADamagedRootThoughTheOtherOneIsWhole) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  fill(path);
  {
    ServerProcess server(path, {"--segment-mib", "1"});
    for (const char* tile : {"6", "7"}) {
      ASSERT_EQ(run_program(TERRAZZO_BIN_DIR "/terrazzo",
                            {"paint", "w", "--rect", "5,5,2,2", "--tile", tile, "--server", server.http_url()})
                    .exit_code,
                0);
    }
    EXPECT_EQ(server.terminate(), 0);  // a second checkpoint: both roots are in use
  }
  ASSERT_EQ(run_program(kServer, {"verify", path}).exit_code, 0);
  const auto data = io::DataDirectory::look_at(path);
  const std::string shard = (*data)->shard_path((*data)->list_worlds()->front(), 0, 0);
  for (const std::uint64_t page : {0u, 1u}) {
    flip(shard, page * storage::kPageBytes + 40);
    const Ran ran = run_program(kServer, {"verify", path});
    flip(shard, page * storage::kPageBytes + 40);
    EXPECT_EQ(ran.exit_code, 1) << ran.output;
    EXPECT_NE(ran.output.find("page " + std::to_string(page) + ", one of the two roots"), std::string::npos)
        << ran.output;
  }
}

// A run of a server in which somebody sets cells of a row, one edit each.
void paint_row(const fs::path& data, bool fresh, std::int32_t y, std::int32_t cells) {
  ServerProcess server(data, {"--segment-mib", "1"});
  if (fresh) make_world(server.port(), "w", 1000);
  const std::unique_ptr<client::Client> entered = enter(server.port());
  client::Client& client = *entered;
  for (std::int32_t x = 0; x < cells; ++x) {
    ASSERT_TRUE(client.edit(client::EditDraft().set(1, {x, y}, map::Cell{5})).ok());
    if (x % 100 == 99) {
      ASSERT_TRUE(client.wait_durable(10s));
    }
  }
  ASSERT_TRUE(client.wait_durable(10s));
  EXPECT_EQ(server.terminate(), 0);
}

TEST(Maintenance, ASegmentThatIsSealedDuringADumpIsInItOnce) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  paint_row(path, true, 7, 1600);
  paint_row(path, false, 8, 1);  // seals the first run's log, and leaves one of its own
  const std::string last = "set layer 1 [0,8,1,1] = 5";
  const Ran before = run_program(kServer, {"dump-wal", path});
  ASSERT_EQ(before.exit_code, 0) << before.output;
  ASSERT_GT(before.output.find(last), 128u << 10);  // more than pipes hold: the dump below waits for its reader
  ASSERT_NE(before.output.find(last), std::string::npos);

  const std::string command = kServer + " dump-wal " + path;
  const std::unique_ptr<FILE, int (*)(FILE*)> dump(::popen(command.c_str(), "r"), &::pclose);
  ASSERT_NE(dump, nullptr);
  std::vector<char> text(4096);
  // It has begun, so it knows what there is, and has not come to the end.
  std::string output(text.data(), std::fread(text.data(), 1, 1, dump.get()));
  {
    ServerProcess server(path, {"--segment-mib", "1"});  // seals what the second run left
    EXPECT_EQ(server.terminate(), 0);
  }
  while (const std::size_t size = std::fread(text.data(), 1, text.size(), dump.get())) output.append(text.data(), size);
  const std::size_t at = output.find(last);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(output.find(last, at + 1), std::string::npos);
}

// The first look at the metrics after a start, and history that grew too old while no server ran.
TEST(Maintenance, AStartedServerKnowsItsHistoryAndDropsWhatIsTooOld) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  paint_row(path, true, 1, 3);
  paint_row(path, false, 2, 3);
  paint_row(path, false, 3, 0);  // seals the second run's log, and leaves none
  const auto data = io::DataDirectory::look_at(path);
  const auto files = (*data)->list_history();
  ASSERT_EQ(files->size(), 2u);
  fs::last_write_time(files->front().path, fs::file_time_type::clock::now() - std::chrono::hours(24 * 400));
  ServerProcess server(path, {"--segment-mib", "1"});
  const std::string metrics = http(server.port(), "GET", "/metrics").body;
  for (const std::string& line :
       {std::string("terrazzo_history_files 1"), std::string("terrazzo_history_dropped_total 1"),
        "terrazzo_history_bytes " + std::to_string(files->back().bytes)})
    EXPECT_NE(metrics.find("\n" + line + "\n"), std::string::npos) << line;
  EXPECT_FALSE(fs::exists(files->front().path));
  EXPECT_TRUE(fs::exists(files->back().path));
}

// What a program writes to standard error, a terminal, while its reader takes standard output slowly.
std::string on_terminal(const std::string& command) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  EXPECT_EQ(::grantpt(terminal), 0);
  EXPECT_EQ(::unlockpt(terminal), 0);
  const std::string name = ::ptsname(terminal);
  const int kept_open = ::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  const std::unique_ptr<FILE, int (*)(FILE*)> program(::popen((command + " 2>" + name).c_str(), "r"), &::pclose);
  std::vector<char> text(65536);
  std::fread(text.data(), 1, 1, program.get());
  // The bar comes when the work has lasted longer than people take for at once.
  pollfd nothing{terminal, POLLIN, 0};
  ::poll(&nothing, 1, 400);
  while (std::fread(text.data(), 1, text.size(), program.get()) != 0) {
  }
  std::string shown;
  while (::poll(&nothing, 1, 0) == 1) {
    const ssize_t count = ::read(terminal, text.data(), text.size());
    if (count <= 0) break;
    shown.append(text.data(), static_cast<std::size_t>(count));
  }
  ::close(kept_open);
  ::close(terminal);
  return shown;
}

TEST(Maintenance, ADumpShowsABarOnATerminalOnly) {
  TemporaryFolder folder;
  const std::string path = (folder.path() / "data").string();
  paint_row(path, true, 7, 1600);  // more lines than a pipe holds
  const std::string bar = on_terminal(kServer + " dump-wal " + path);
  EXPECT_NE(bar.find("\rdump-wal ["), std::string::npos) << bar;
  EXPECT_NE(bar.find("100 %"), std::string::npos) << bar;
  EXPECT_EQ(run_program(kServer, {"dump-wal", path}).output.find("dump-wal ["), std::string::npos);
}

// On a disk that is so slow that people would wonder.
TEST(Maintenance, EveryCommandShowsABarOnATerminalOnly) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string(), backup = (folder.path() / "backup").string(),
                    again = (folder.path() / "again").string(), third = (folder.path() / "third").string(),
                    fourth = (folder.path() / "fourth").string();
  fill(data);
  // Each operation takes so much longer.
  const auto on_slow_disk = [&](int ms) {
    return std::string("env LD_PRELOAD=" TERRAZZO_FAULT_SHIM " TERRAZZO_FAULT_FOLDER=") + folder.path().string() +
           " TERRAZZO_FAULT_SLOW_MS=" + std::to_string(ms) + " " + kServer + " ";
  };
  const auto expect_bars = [&](const std::string& with_bar, const std::vector<std::string>& without,
                               const std::vector<std::string>& bars, int ms = 25) {
    const std::string shown = on_terminal(on_slow_disk(ms) + with_bar);
    for (const std::string& bar : bars) {
      const auto at = shown.rfind("\r" + bar + " [");
      ASSERT_NE(at, std::string::npos) << with_bar << ": " << shown;
      EXPECT_NE(shown.find("100 %", at), std::string::npos) << with_bar << ": " << shown;
    }
    const Ran ran = run_program(kServer, without);
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    for (const std::string& bar : bars) EXPECT_EQ(ran.output.find(bar + " ["), std::string::npos) << ran.output;
  };
  expect_bars("inspect " + data, {"inspect", data}, {"inspect"}, 200);
  expect_bars("verify " + data, {"verify", data}, {"verify"});
  expect_bars("backup " + data + " " + backup, {"backup", data, again}, {"backup"});
  expect_bars("verify " + backup, {"verify", backup}, {"verify"});
  expect_bars("restore " + backup + " " + third, {"restore", backup, fourth}, {"restore", "verify"});
}

TEST(Maintenance, AStoppedServersFolderIsBackedUpWithItsLog) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string(), second = (folder.path() / "second").string(),
                    backup = (folder.path() / "backup").string();
  // What a server left that was killed while it made a backup.
  fs::create_directories(data + "/backups/night.partial/worlds");
  std::ofstream(data + "/backups/night.partial/UNFINISHED").close();
  {
    ServerProcess server(data, {"--segment-mib", "1"});
    EXPECT_TRUE(fs::is_empty(data + "/backups"));
    EXPECT_EQ(http(server.port(), "POST", "/v1/backups", R"({"name":"night.partial"})").status, 400u);
    make_world(server.port(), "w", 100);
    ASSERT_EQ(run_program(TERRAZZO_BIN_DIR "/terrazzo",
                          {"paint", "w", "--rect", "5,5,2,2", "--tile", "9", "--server", server.http_url()})
                  .exit_code,
              0);
    EXPECT_EQ(run_program(kServer, {"backup", data, backup}).exit_code, 2);  // it runs
    server.kill();                                                           // the edit is in the log only
  }
  const Ran made = run_program(kServer, {"backup", data, backup});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  EXPECT_EQ(run_program(kServer, {"backup", data, backup}).exit_code, 2);
  for (const auto& entry : fs::recursive_directory_iterator(backup))
    EXPECT_EQ(entry.path().string().find(".readers"), std::string::npos) << entry.path();
  ASSERT_EQ(run_program(kServer, {"restore", backup, second}).exit_code, 0);
  ServerProcess server(second);
  const std::unique_ptr<client::Client> entered = enter(server.port());
  client::Client& client = *entered;
  const auto view = client.subscribe(map::Rect::of_size(0, 0, 20, 20));
  ASSERT_TRUE(client.wait_until([&] { return client.is_ready(*view); }, 10s));
  EXPECT_EQ(client.read(1, {6, 6}), map::Cell{9});
}

// Full, then what changed, made by a running server; then by hand, when it is stopped.
TEST(Maintenance, BackupsBuildOnEachOtherWhetherAServerRunsOrNot) {
  TemporaryFolder folder;
  const std::string data = (folder.path() / "data").string(), backups = data + "/backups/";
  const std::string cli = TERRAZZO_BIN_DIR "/terrazzo";
  const auto paint = [&](const ServerProcess& server, const char* rect, const char* tile) {
    ASSERT_EQ(run_program(cli, {"paint", "w", "--rect", rect, "--tile", tile, "--server", server.http_url()}).exit_code,
              0);
  };
  {
    ServerProcess server(data, {"--segment-mib", "1"});
    make_world(server.port(), "w", 1000);
    paint(server, "0,0,2000,2000", "3");
    paint(server, "10,10,300,3", "4");
    ASSERT_EQ(run_program(cli, {"backup", "monday", "--server", server.http_url()}).exit_code, 0);
    paint(server, "9000,10,3,3", "5");  // another shard
    paint(server, "10,11,3,3", "6");
    const Ran tuesday = run_program(cli, {"backup", "tuesday", "--since", "monday", "--server", server.http_url()});
    ASSERT_EQ(tuesday.exit_code, 0) << tuesday.output;
    EXPECT_EQ(nlohmann::json::parse(http(server.port(), "GET", "/v1/backups").body)["since"], "monday");
    const Ran nowhere = run_program(cli, {"backup", "x", "--since", "nowhere", "--server", server.http_url()});
    EXPECT_EQ(nowhere.exit_code, 1);
    EXPECT_NE(nowhere.output.find("nowhere is no backup"), std::string::npos) << nowhere.output;
    EXPECT_FALSE(fs::exists(backups + "x"));
    EXPECT_EQ(http(server.port(), "POST", "/v1/backups", R"({"name":"x","since":"../data"})").status, 400u);
    EXPECT_EQ(http(server.port(), "POST", "/v1/backups", R"({"name":"x","since":7})").status, 400u);
    paint(server, "10,12,3,3", "7");
    EXPECT_EQ(server.terminate(), 0);
  }
  const Ran made = run_program(kServer, {"backup", data, backups + "wednesday", "--since", backups + "tuesday"});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const std::string second = (folder.path() / "second").string();
  fs::rename(backups + "monday", backups + "away");
  const Ran missing = run_program(kServer, {"restore", backups + "wednesday", second});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.output.find("\"monday\", which is missing"), std::string::npos) << missing.output;
  fs::rename(backups + "away", backups + "monday");
  const Ran restored = run_program(kServer, {"restore", backups + "wednesday", second});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  EXPECT_NE(restored.output.find("2 shards"), std::string::npos) << restored.output;
  ServerProcess server(second);
  const std::unique_ptr<client::Client> entered = enter(server.port());
  client::Client& client = *entered;
  const auto near = client.subscribe(map::Rect::of_size(0, 0, 400, 40));
  const auto far = client.subscribe(map::Rect::of_size(8990, 0, 40, 40));
  ASSERT_TRUE(client.wait_until([&] { return client.is_ready(*near) && client.is_ready(*far); }, 10s));
  EXPECT_EQ(client.read(1, {5, 5}), map::Cell{3});
  EXPECT_EQ(client.read(1, {10, 10}), map::Cell{4});
  EXPECT_EQ(client.read(1, {9001, 11}), map::Cell{5});
  EXPECT_EQ(client.read(1, {11, 12}), map::Cell{7});
  EXPECT_EQ(client.read(1, {11, 11}), map::Cell{6});
}

}  // namespace
}  // namespace terrazzo::integration

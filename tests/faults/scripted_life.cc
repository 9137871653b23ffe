#include "scripted_life.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "../integration/http_peer.h"
#include "../integration/server_process.h"
#include "server/io/data_directory.h"
#include "server/maintenance/directory_check.h"
#include "server/maintenance/sha256.h"
#include "terrazzo/client.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

// Nothing is waited for that long but what never comes.
constexpr auto kPatience = 120s;
std::chrono::milliseconds patience(Disk disk) {
  return disk == Disk::good ? std::chrono::milliseconds(kPatience) : 200ms;
}

const std::string kImage = "\x89PNG\r\n\x1a\n and so on";

// Small blocks, every third over the border of two shards; then large ones, whose edits fill log segments.
constexpr int kSmallBlocks = 9, kBlocks = kSmallBlocks + 12;
// Large blocks look like noise, so that nothing makes their records small.
std::uint32_t cell_of(int index, std::size_t cell, std::uint32_t value) {
  return index < kSmallBlocks ? value : value + 10'000 * (static_cast<std::uint32_t>(cell * 2654435761u) >> 29);
}

void first_day(const ServerProcess& server, Told& told, Disk disk) {
  for (int tries = 0; tries < 2 && !told.world; ++tries)
    told.world = http(server.port(), "POST", "/v1/worlds", make_world_json("w", kLifeTiles)).status == 201;
  const auto client = enter_life(server.port(), disk);
  if (client == nullptr) return;
  Painter painter(*client, told, disk);
  painter.paint(0, kSmallBlocks, 100);
  const Told::Blocks durable = told.durable, sent = told.sent;
  if (http(server.port(), "POST", "/v1/worlds/w/versions", R"({"name":"noon"})").status == 201)
    told.noon = Told::Version{durable, sent};
  told.image =
      http(server.port(), "PUT", "/v1/worlds/w/assets/" + maintenance::sha256_hex(kImage), kImage).status / 100 == 2;
  painter.paint_at_once(kSmallBlocks, kBlocks, 150);
  painter.paint(0, 2, 200);
  told.went_on = painter.go_on(500);
  expect_blocks(server.port(), told.durable, told.sent, disk);
}

void later_day(int day, const ServerProcess& server, Told& told, Disk disk) {
  expect_blocks(server.port(), told.durable, told.sent, disk);
  const auto client = enter_life(server.port(), disk);
  if (client == nullptr) return;
  Painter painter(*client, told, disk);
  const std::uint32_t morning = 1000 * static_cast<std::uint32_t>(day);
  painter.paint(0, 4, morning + 200);
  if (day == 2) {
    told.delete_asked = true;
    told.deleted = http(server.port(), "DELETE", "/v1/worlds/w/versions/noon").status == 200;
  }
  painter.paint_at_once(kSmallBlocks, kBlocks, morning + 250);
  told.went_on = painter.go_on(morning + 500);
  expect_blocks(server.port(), told.durable, told.sent, disk);
}

void expect_version(std::uint16_t port, const Told& told) {
  const HttpAnswer listed = http(port, "GET", "/v1/worlds/w/versions");
  ASSERT_EQ(listed.status, 200u) << listed.body;
  const bool there = listed.body.find("\"noon\"") != std::string::npos;
  ASSERT_TRUE(there || !told.noon || told.delete_asked) << "a version that was saved is gone";
  ASSERT_FALSE(there && told.deleted) << "a version that was deleted is back";
  if (!there || !told.noon) return;
  const HttpAnswer restored = http(port, "POST", "/v1/worlds/w/versions/noon/restore");
  ASSERT_EQ(restored.status, 200u) << restored.body;
  expect_blocks(port, told.noon->durable, told.noon->sent);
}

}  // namespace

std::vector<std::string> life_flags() {
  return {"--cores", "1", "--segment-mib", "1", "--file-io", "threads"};
}

map::Rect life_block(int index) {
  if (index < kSmallBlocks) return map::Rect::of_size(index % 3 == 0 ? 8190 : 40 + 100 * index, 10 * index, 4, 4);
  return map::Rect::of_size(96 * (index - kSmallBlocks), 256, 96, 96);
}

std::unique_ptr<Client> enter_life(std::uint16_t port, Disk disk) {
  client::ConnectOptions options;
  options.url = "ws://127.0.0.1:" + std::to_string(port);
  auto client = std::make_unique<Client>(options);
  if (!client->connect() || !client->open("w") || !client->wait_live(disk == Disk::good ? kPatience : 5s))
    return nullptr;
  return client;
}

Painter::Painter(Client& client, Told& told, Disk disk) : client_(client), told_(told), patience_(patience(disk)) {}

void Painter::paint(int first, int last, std::uint32_t value) {
  for (int index = first; index < last; ++index) {
    send(index, value + static_cast<std::uint32_t>(index));
    hear();
  }
}

void Painter::paint_at_once(int first, int last, std::uint32_t value) {
  for (int index = first; index < last; ++index) send(index, value + static_cast<std::uint32_t>(index));
  hear();
}

void Painter::send(int index, std::uint32_t value) {
  const map::Rect rect = life_block(index);
  std::vector<map::Cell> cells(static_cast<std::size_t>(rect.area()));
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = map::Cell{cell_of(index, i, value)};
  const Result<EditId> edit = client_.edit(client::EditDraft().set(kLifeLayer, rect, cells));
  if (!edit) return;
  told_.sent[index] = value;
  waiting_.push_back({*edit, index, value});
}

bool Painter::hear() {
  const auto decided = [&](const Sent& s) { return client_.is_durable(s.id) || client_.rejection(s.id).has_value(); };
  // A server whose log is dead never says durable: it is waited for once.
  const bool all = client_.wait_until(
      [&] { return client_.state() != client::State::live || std::ranges::all_of(waiting_, decided); }, patience_);
  if (!all) patience_ = 5ms;
  for (const Sent& sent : waiting_) {
    if (client_.is_durable(sent.id)) told_.durable[sent.index] = sent.value;
    const std::optional<Error> refusal = client_.rejection(sent.id);
    refused_for_good_ = refused_for_good_ || (refusal && refusal->code != ErrorCode::overloaded);
  }
  const bool durable = std::ranges::all_of(waiting_, [&](const Sent& s) { return client_.is_durable(s.id); });
  waiting_.clear();
  return durable;
}

bool Painter::go_on(std::uint32_t value) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  do {
    if (client_.state() != client::State::live || refused_for_good_) return false;
    for (int index = 0; index < kBlocks; ++index) send(index, value + static_cast<std::uint32_t>(index));
    value += kBlocks;
    patience_ = 200ms;
    if (hear()) return true;
    client_.wait_until([] { return false; }, 50ms);  // until it tries again
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

void expect_pages_accounted_for(const std::filesystem::path& data) {
  const auto folder = io::DataDirectory::look_at(data.string());
  ASSERT_TRUE(folder.ok()) << folder.error().message;
  for (const std::string& finding : maintenance::check_directory(**folder).findings) ADD_FAILURE() << finding;
}

void expect_blocks(std::uint16_t port, const Told::Blocks& at_least, const Told::Blocks& at_most, Disk disk) {
  const bool disk_is_good = disk == Disk::good;
  const auto client = enter_life(port, disk);
  ASSERT_TRUE(client != nullptr || !disk_is_good);
  if (client == nullptr) return;
  std::vector<client::SubscriptionId> views;
  for (const map::Rect& view : {map::Rect::of_size(0, 0, 1184, 384), map::Rect::of_size(8160, 0, 64, 256)})
    views.push_back(*client->subscribe(view));
  const bool shown = client->wait_until([&] { return client->is_ready(views[0]) && client->is_ready(views[1]); },
                                        disk_is_good ? kPatience : 100ms);
  ASSERT_TRUE(shown || !disk_is_good);
  if (!shown) return;
  const auto value = [](const Told::Blocks& blocks, int index) {
    const auto found = blocks.find(index);
    return found == blocks.end() ? 0u : found->second;
  };
  for (int index = 0; index < kBlocks; ++index) {
    const map::Rect rect = life_block(index);
    std::vector<map::Cell> cells(static_cast<std::size_t>(rect.area()));
    ASSERT_TRUE(client->read_rect(kLifeLayer, rect, cells, client::View::confirmed));
    const std::uint32_t first = cells[0].bits;
    if (!disk_is_good && rect.x0 < 8192 && rect.x1 > 8192) continue;
    for (std::size_t i = 0; i < cells.size(); ++i)
      ASSERT_EQ(cells[i].bits, first == 0 ? 0 : cell_of(index, i, first)) << "block " << index << " is torn";
    ASSERT_GE(first, value(at_least, index)) << "a durable edit of block " << index << " is gone";
    ASSERT_LE(first, value(at_most, index)) << "block " << index;
  }
}

void live_a_day(int day, const std::filesystem::path& data, Told& told, Disk disk) {
  ServerProcess server(data, life_flags(), 0, false);
  told.went_on = false;
  told.started = server.running();
  if (!told.started) return;  // it said why and stopped
  if (day == 0) {
    first_day(server, told, disk);
    server.kill();
    return;
  }
  later_day(day, server, told, disk);
  server.terminate();
}

void expect_nothing_lost(const std::filesystem::path& data, Told& told) {
  {
    ServerProcess server(data, life_flags());
    ASSERT_TRUE(server.running());
    if (http(server.port(), "GET", "/v1/worlds/w").status != 200) {
      ASSERT_FALSE(told.world) << "the world is gone";
      ASSERT_TRUE(told.sent.empty());
      make_world(server.port(), "w", kLifeTiles);
    }
    if (told.image) {
      const HttpAnswer image = http(server.port(), "GET", "/v1/worlds/w/assets/" + maintenance::sha256_hex(kImage));
      ASSERT_EQ(image.body, kImage) << image.status;
    }
    expect_blocks(server.port(), told.durable, told.sent);
    if (testing::Test::HasFatalFailure()) return;
    expect_version(server.port(), told);
    if (testing::Test::HasFatalFailure()) return;
    {
      const auto client = enter_life(server.port());
      ASSERT_NE(client, nullptr);
      Told after;
      Painter(*client, after).paint_at_once(0, kBlocks, 9000);
      EXPECT_EQ(after.durable.size(), static_cast<std::size_t>(kBlocks)) << "it does not go on";
    }
    EXPECT_EQ(server.terminate(), 0);
  }
  expect_pages_accounted_for(data);
}

ShimSettings::ShimSettings(const std::filesystem::path& folder, long at, int kind, const std::filesystem::path& count) {
  set("LD_PRELOAD", TERRAZZO_FAULT_SHIM);
  set("TERRAZZO_FAULT_FOLDER", folder.string());
  set("TERRAZZO_FAULT_AT", std::to_string(at));
  set("TERRAZZO_FAULT_KIND", std::to_string(kind));
  if (!count.empty()) set("TERRAZZO_FAULT_COUNT", count.string());
}

ShimSettings::~ShimSettings() {
  for (const std::string& name : names_) ::unsetenv(name.c_str());
}

void ShimSettings::set(const std::string& name, const std::string& value) {
  ::setenv(name.c_str(), value.c_str(), 1);
  names_.push_back(name);
}

std::filesystem::path memory_folder() {
  std::error_code error;
  const auto space = std::filesystem::space("/dev/shm", error);
  return !error && space.available > (std::uintmax_t{256} << 20) ? std::filesystem::path("/dev/shm")
                                                                 : std::filesystem::temp_directory_path();
}

}  // namespace terrazzo::integration

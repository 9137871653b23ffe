// kill -9 while three clients write, in both forms, through the client library: nothing acknowledged as durable is
// lost, no edit is torn, none is applied twice, the folder is whole, and the clients go on by themselves.
// TERRAZZO_KILLS sets how often (210), a third of them with each way of carrying sockets and writing files.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "http_peer.h"
#include "server_process.h"
#include "terrazzo/client.h"
#include "tests/test_paths.h"

namespace terrazzo::integration {
namespace {

using namespace std::chrono_literals;
using client::Client;

const std::string kServer = TERRAZZO_BIN_DIR "/terrazzo-server";

constexpr map::LayerId kLayer = 1;
// Blocks that an edit writes whole; each lies over the corner of four chunks, and the second column over the border of
// two shards: there, whole means over both.
constexpr std::int64_t kBlock = 6;
constexpr int kBlocks = 24;

map::Rect block(int writer, int index) {
  const std::int64_t x = index % 2 == 0 ? 32 * (2 + index) - 3 : 8192 - 3;
  return map::Rect::of_size(x, 32 * (2 + index * 2 + writer) - 3, kBlock, kBlock);
}

struct Writer {
  std::unique_ptr<Client> client;
  int number = 0;
  std::vector<std::uint32_t> durable, newest;  // by block: the value known to be on disk, the one sent last
  struct Sent {
    EditId id;
    int block;
    std::uint32_t value;
  };
  std::vector<Sent> waiting;
  std::uint32_t next_value = 1;

  void write(int index) {
    client::EditDraft draft;
    draft.fill(kLayer, block(number, index), map::Cell{next_value});
    const Result<EditId> id = client->edit(draft);
    ASSERT_TRUE(id.ok()) << id.error().message;
    waiting.push_back({*id, index, next_value});
    newest[static_cast<std::size_t>(index)] = next_value++;
  }
  void look() {
    std::erase_if(waiting, [&](const Sent& sent) {
      EXPECT_FALSE(client->rejection(sent.id)) << client->rejection(sent.id)->message;
      if (!client->is_durable(sent.id)) return false;
      durable[static_cast<std::size_t>(sent.block)] =
          std::max(durable[static_cast<std::size_t>(sent.block)], sent.value);
      return true;
    });
  }
};

struct Way {
  const char* name;
  std::vector<std::string> flags;
};
void PrintTo(const Way& way, std::ostream* out) {
  *out << way.name;
}

// By what carries sockets and who writes files.
class Kill : public testing::TestWithParam<Way> {
 protected:
  Writer make_writer(client::Reactor& reactor, int number, std::uint16_t port) {
    Writer writer;
    writer.number = number;
    writer.durable.assign(kBlocks, 0);
    writer.newest.assign(kBlocks, 0);
    client::ConnectOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(port);
    options.form = number == 1 ? proto::Form::json : proto::Form::binary;
    options.reconnect.delay_min_ms = 1;
    options.reconnect.delay_max_ms = 20;
    options.seed = static_cast<std::uint64_t>(number) + 1;
    writer.client = std::make_unique<Client>(reactor, options);
    EXPECT_TRUE(writer.client->connect().ok());
    EXPECT_TRUE(writer.client->open("w").ok());
    EXPECT_TRUE(writer.client->wait_live(60s).ok());
    for (const map::Rect& view : {map::Rect::of_size(0, 0, 1024, 2048), map::Rect::of_size(8160, 0, 64, 2048)})
      EXPECT_TRUE(writer.client->subscribe(view).ok());
    return writer;
  }

  // Nobody has it open.
  static void verify(const std::filesystem::path& data) {
    const Ran verified = run_program(kServer, {"verify", data.string()});
    EXPECT_EQ(verified.exit_code, 0) << verified.output;
  }

  // What a client that has seen nothing gets from the server.
  void check(std::uint16_t port, std::vector<Writer>& writers) {
    client::ConnectOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(port);
    Client fresh(options);
    ASSERT_TRUE(fresh.connect().ok());
    ASSERT_TRUE(fresh.open("w").ok());
    ASSERT_TRUE(fresh.wait_live(60s).ok());
    std::vector<client::SubscriptionId> views;
    for (const map::Rect& view : {map::Rect::of_size(0, 0, 1024, 2048), map::Rect::of_size(8160, 0, 64, 2048)})
      views.push_back(*fresh.subscribe(view));
    ASSERT_TRUE(fresh.wait_until([&] { return fresh.is_ready(views[0]) && fresh.is_ready(views[1]); }, 60s));
    for (Writer& writer : writers) {
      for (int i = 0; i < kBlocks; ++i) {
        std::vector<map::Cell> cells(kBlock * kBlock);
        ASSERT_TRUE(fresh.read_rect(kLayer, block(writer.number, i), cells, client::View::confirmed));
        for (const map::Cell cell : cells)
          ASSERT_EQ(cell, cells[0]) << "block " << i << " of writer " << writer.number << " is torn";
        ASSERT_GE(cells[0].bits, writer.durable[static_cast<std::size_t>(i)]) << "a durable edit is gone";
        ASSERT_LE(cells[0].bits, writer.newest[static_cast<std::size_t>(i)]);
      }
    }
  }
};

TEST_P(Kill, NothingDurableIsLostAndClientsGoOnByThemselves) {
  const char* wanted = std::getenv("TERRAZZO_KILLS");
  const int kills = (wanted == nullptr ? 210 : std::atoi(wanted)) / 3;
  const auto seed = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));

  TemporaryFolder folder;
  // Small segments, so that some kills meet a log that moves on.
  std::vector<std::string> flags{"--segment-mib", "1"};
  flags.insert(flags.end(), GetParam().flags.begin(), GetParam().flags.end());
  auto server = std::make_unique<ServerProcess>(folder.path() / "data", flags);
  make_world(server->port(), "w", 1u << 20);
  const std::uint16_t port = server->port();
  client::Reactor reactor;
  std::vector<Writer> writers;
  for (const int number : {0, 1, 2}) writers.push_back(make_writer(reactor, number, port));

  for (int kill = 0; kill < kills && !HasFatalFailure(); ++kill) {
    // Some kills come before a client is back from the one before; every other one does not.
    for (Writer& writer : writers) ASSERT_TRUE(kill % 2 != 0 || writer.client->wait_live(60s).ok());
    // A moment of writing, of random length: the kill falls anywhere.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 40'000);
    do {
      for (Writer& writer : writers) {
        if (writer.waiting.size() < 64) writer.write(static_cast<int>(random() % kBlocks));
        writer.look();
      }
      reactor.run_once(1ms);
    } while (std::chrono::steady_clock::now() < until && !HasFatalFailure());
    server->kill();
    // The server is gone and they write on.
    for (Writer& writer : writers)
      for (int i = 0; i < 3; ++i) writer.write(static_cast<int>(random() % kBlocks));
    reactor.run_once(1ms);
    for (Writer& writer : writers) writer.look();
    verify(folder.path() / "data");
    server = std::make_unique<ServerProcess>(folder.path() / "data", flags, port);
    ASSERT_TRUE(server->running()) << server->log();
    check(port, writers);
  }
  // Everything that was ever written arrives, once, in the writers' own order.
  for (Writer& writer : writers) {
    EXPECT_TRUE(writer.client->wait_durable(60s))
        << writer.client->edits_waiting() << " edits of writer " << writer.number << " wait";
    writer.look();
    EXPECT_EQ(writer.durable, writer.newest);
    EXPECT_GE(writer.client->statistics().connections, static_cast<std::uint64_t>(kills / 2));
  }
  check(port, writers);
  EXPECT_EQ(server->terminate(), 0);
  verify(folder.path() / "data");
}

// On io_uring where it is there, on epoll with threads for files, and with sockets on io_uring and files on threads.
INSTANTIATE_TEST_SUITE_P(Ways, Kill,
                         testing::Values(Way{"Auto", {}}, Way{"Epoll", {"--io", "epoll"}},
                                         Way{"FilesOnThreads", {"--file-io", "threads"}}),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace terrazzo::integration

#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "client-lib/src/sync/sync_machine.h"
#include "one_world_directory.h"
#include "server/net/frame_pool.h"
#include "server/net/outbox.h"
#include "server/session/home.h"
#include "server/shard/shard.h"
#include "tests/shard/memory_page_file.h"

namespace terrazzo::session {

// One client with its sync machine, and its connection: bytes that wait on either side.
class CrowdClient final : public client::SyncOutput {
 public:
  CrowdClient(std::uint32_t slot, proto::Form form);

  void send(const proto::ClientMessage& message) override;
  bool writable() const override { return true; }
  void drop() override { wrong = "what the server says cannot be understood"; }
  void emit(client::Event) override {}

  // Takes up to `bytes` of the outbox and handles the messages that are whole.
  void read(std::size_t bytes, net::FramePool& frames);

  Connection connection;
  proto::Form form;
  client::SyncMachine machine;
  std::deque<proto::ByteBuffer> sent;  // to the server
  net::Outbox outbox;                  // of the server
  bool wants_room = false;
  bool stalled = false;
  struct View {
    client::SubscriptionId id;
    map::Rect cells;
  };
  std::vector<View> views;
  // What broke the protocol: an edit between stale and refreshed, or out of order; empty: nothing.
  std::string wrong;
  std::uint64_t times_stale = 0;

 private:
  void take(const proto::ServerMessage& message);

  proto::Encoder encoder_;
  proto::ByteBuffer stream_;
  std::unordered_map<map::ShardPos, Lsn> newest_;
  std::unordered_map<map::ShardPos, Lsn> stale_;
  friend class SlowCrowd;
};

// A home core, the shards (0,0) and (-1,0) on an owner core, first-in first-out queues between the two, and clients
// that read when the test says so. The world is the island; clients look at and edit the chunks around 0,0.
class SlowCrowd final : private SessionOutput, private shard::ShardOutput {
 public:
  static constexpr std::size_t kRoomBytes = 3000;  // some dozens of edits

  SlowCrowd(std::uint64_t seed, int clients);

  void step();
  // Everybody reads until nothing waits anywhere.
  void settle();
  // Where a replica is not what the shards hold; empty: nowhere.
  std::string difference();
  std::size_t outbox_bytes_most() const { return outbox_most_; }
  const Home& home() const { return home_; }
  std::vector<std::unique_ptr<CrowdClient>>& clients() { return clients_; }

 private:
  static constexpr shard::CoreId kCore = 0;
  using Mail = std::deque<std::function<void()>>;

  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  map::Rect some_cells(std::int64_t size_max);
  void connect(CrowdClient& client);
  void lose(CrowdClient& client);
  void act(CrowdClient& client);
  void paint(CrowdClient& client);
  void read(CrowdClient& client, std::size_t bytes);
  void hear(CrowdClient& client);
  bool deliver(Mail& mail);
  void sync(map::ShardPos position);
  CrowdClient* client_of(Connection connection);
  void queue(CrowdClient& client, const SharedBytes& frame);
  shard::Shard& shard_of(const shard::ShardKey& key) { return *shards_[key.position.x < 0 ? 0 : 1].shard; }
  std::uint32_t cell_of(map::LayerId layer, map::CellPos position);

  // session::SessionOutput
  void send(Connection connection, const proto::ServerMessage& message) override;
  void send_frame(std::span<const Connection> connections, const SharedBytes& frame) override;
  void send_edit(std::span<const Connection> connections, const SharedBytes& frame,
                 std::vector<Connection>& refused) override;
  void send_to_many(proto::Form, std::span<const Connection>, const proto::ServerMessage&,
                    std::vector<Connection>&) override {
    std::abort();
  }
  void send_presence(proto::Form, std::span<const Connection>, const SharedNote&, PresenceIsFor,
                     std::vector<Connection>*) override {
    std::abort();
  }
  void tell_room(Connection connection) override;
  void close(Connection connection, std::uint16_t code, std::string_view reason) override;
  void edit(std::unique_ptr<shard::EditRequest> request) override;
  void coordinate(std::unique_ptr<shard::CoordinatedRequest>) override { std::abort(); }  // edits stay in one shard
  void subscribe(std::unique_ptr<shard::SubscribeRequest> request) override;
  void refresh(std::unique_ptr<shard::RefreshRequest> request) override;
  void interest_off(std::unique_ptr<shard::InterestOff> off) override;
  void claim(std::unique_ptr<shard::ClaimRequest>) override {}  // there are none to look for
  void undo(std::unique_ptr<shard::UndoRequest>) override {}    // likewise
  bool is_behind() const override { return false; }
  void presence(const SharedNote&) override {}
  void ask_presence(const PresenceAsk&) override {}
  void presence_to(const shard::Origin&, const SharedNote&) override {}
  void chat(const SharedChat&) override {}
  void speaks_for(SessionId, Connection) override {}
  void silent(SessionId, Connection) override {}

  // shard::ShardOutput
  std::uint64_t log(const storage::Record&) override { return ++sequence_; }
  std::optional<Error> busy() const override { return std::nullopt; }
  void publish(shard::CoreMask cores, shard::SharedPublication publication) override;
  void reply(std::unique_ptr<shard::StatesReply> reply) override;
  void outcome(shard::EditOutcome outcome) override;
  void durable(shard::CoreMask cores, const shard::DurableMark& mark) override;
  void forward(std::unique_ptr<shard::EditRequest>) override { std::abort(); }

  std::mt19937_64 random_;
  struct Owned {
    shard::MemoryPageFile file;
    std::unique_ptr<shard::Shard> shard;
  };
  std::array<Owned, 2> shards_;
  proto::Encoder encoder_;
  shard::EncodedChunks encoded_{64 << 10};
  SessionLimits limits_;
  OneWorldDirectory directory_;
  Home home_{kCore, limits_, directory_, *this};
  net::FramePool frames_;
  Mail to_owner_, to_home_;
  std::vector<std::unique_ptr<CrowdClient>> clients_;
  std::uint64_t sequence_ = 0, now_ns_ = 0;
  std::size_t outbox_most_ = 0;
};

}  // namespace terrazzo::session

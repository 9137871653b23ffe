#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client-lib/src/sync/sync_machine.h"
#include "tests/sim/web_peer.h"

namespace terrazzo::sim {

// Who hears what a client hears and does.
class ClientObserver {
 public:
  virtual ~ClientObserver() = default;
  // Before the client's machine takes it.
  virtual void heard(std::uint32_t client, std::uint64_t connection, Incarnation incarnation,
                     const proto::ServerMessage& message) = 0;
  virtual void connected(std::uint32_t client, std::uint64_t connection) = 0;
  virtual void told(std::uint32_t client, const client::Event& event) = 0;
};

// One client: the library's sync machine, with the transport and the timers that client.cc gives it. It keeps coming
// back.
class Client final : private client::SyncOutput {
 public:
  Client(Machine& machine, Network& network, std::uint32_t number, std::string world, std::size_t edits_held_max,
         ClientObserver& observer);
  ~Client() override;

  void start();
  std::uint32_t number() const { return number_; }
  client::SyncMachine& machine() { return *sync_; }
  proto::Form form() const { return form_; }
  Network::Link link() const { return peer_.link(); }
  bool live() const { return sync_->state() == client::State::live; }
  std::size_t edits_held_max() const { return options_.edits_held_max; }
  // Of the message it hears; of several that came as one, each has an equal part.
  std::size_t message_bytes() const { return message_bytes_; }
  // In a state that it does not leave by itself.
  bool failed() const { return sync_->state() == client::State::failed; }

  struct View {
    client::SubscriptionId id;
    map::Rect cells;
  };
  std::vector<View> views;

 private:
  void send(const proto::ClientMessage& message) override;
  bool writable() const override;
  void drop() override;
  void emit(client::Event event) override;

  void dial();
  void take(std::span<const std::byte> payload);
  void lost(std::uint16_t code, const std::string& reason);
  void tick();
  void open_again();

  Machine& world_;
  Network& network_;
  const std::uint32_t number_;
  const std::string name_;
  ClientObserver& observer_;
  Random random_;
  proto::Form form_;
  client::ConnectOptions options_;
  std::unique_ptr<client::SyncMachine> sync_;
  WebPeer peer_;
  proto::Encoder encoder_;
  proto::ByteBuffer payload_;
  std::uint64_t connection_ = 0;
  std::size_t message_bytes_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace terrazzo::sim

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/codec.h"
#include "proto/ws/frame_codec.h"
#include "tests/sim/network.h"

namespace terrazzo::sim {

// A client's WebSocket over a simulated connection: what Boost.Beast is to the client library.
class WebPeer final : private Dialer {
 public:
  struct Events {
    std::function<void()> open;
    std::function<void(std::span<const std::byte>)> message;  // 8-byte aligned
    // 0: without a goodbye.
    std::function<void(std::uint16_t code, std::string reason)> closed;
    std::function<void()> room;
  };
  WebPeer(Machine& machine, Network& network, proto::Form form, Events events);
  ~WebPeer();

  void connect();
  void send(std::span<const std::byte> payload);
  std::size_t queued_bytes() const { return network_.unsent(link_); }
  // Gives the connection up; closed() follows with 0.
  void drop();
  // Without a word from or to anybody.
  void vanish();
  Network::Link link() const { return link_; }

 private:
  void on_connected() override;
  void on_bytes(std::span<const std::byte> bytes) override;
  void on_lost() override;
  void send_frame(proto::ws::Opcode opcode, std::span<const std::byte> payload);
  void take_frames();
  void finish(std::uint16_t code, std::string reason);

  Machine& machine_;
  Network& network_;
  Random random_;
  const proto::Form form_;
  Events events_;
  Network::Link link_ = 0;
  bool open_ = false;
  std::string head_;
  proto::ByteBuffer stream_, frame_;
  std::vector<std::uint64_t> aligned_;
};

}  // namespace terrazzo::sim

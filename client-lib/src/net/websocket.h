#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "client-lib/src/net/url.h"
#include "proto/codec.h"
#include "terrazzo/options.h"
#include "terrazzo/reactor.h"

namespace terrazzo::client {

// What becomes of a connection. Called from the reactor, never inside a call of WebSocket.
struct WebSocketEvents {
  std::function<void()> opened;
  std::function<void(std::span<const std::byte>)> message;
  std::function<void(std::uint16_t code, std::string reason)> closed;  // once, at the end of each connect()
  std::function<void()> written;                                       // everything queued is with the kernel
};

// One WebSocket connection at a time, through Boost.Beast. Messages queued between two turns of the reactor travel
// together where they fit into one.
class WebSocket {
 public:
  WebSocket(Reactor& reactor, proto::Form form, std::size_t message_bytes_max, const ConnectOptions& options,
            WebSocketEvents events);
  ~WebSocket();  // drops the connection; no event comes any more
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void connect(const Url& url, std::uint32_t timeout_ms);
  // One message's payload.
  void send(std::span<const std::byte> payload);
  std::size_t queued_bytes() const;
  // Says goodbye, and reports closed() when the other side has too, or at the latest after a second.
  void close();
  // As a failing network: closed() follows at the next turn.
  void drop();

 private:
  struct Connection;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace terrazzo::client

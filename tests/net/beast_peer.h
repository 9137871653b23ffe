#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace terrazzo::net {

// An independent implementation of the client side: Boost.Beast's WebSocket, with blocking calls. For a thread of its
// own.
class BeastPeer {
 public:
  // `protocol`: the Sec-WebSocket-Protocol field; empty: none.
  BeastPeer(std::uint16_t port, const std::string& protocol);
  // With an offer of compression, in windows of so many bits.
  struct Compression {
    int server_bits = 15, client_bits = 15;
  };
  BeastPeer(std::uint16_t port, const std::string& protocol, const Compression& compression);
  ~BeastPeer();
  BeastPeer(BeastPeer&&) noexcept;

  bool open() const;
  // Of the answer to the handshake.
  unsigned status() const;
  std::string protocol() const;
  std::string extensions() const;
  // `fragment_bytes`: at most so many in a frame; 0: the message is one frame.
  bool send(const std::string& payload, bool text, std::size_t fragment_bytes = 0);
  bool ping(const std::string& payload);
  // What the newest pong carried.
  std::optional<std::string> pong() const;
  // The next message; nothing: the connection is closed.
  std::optional<std::string> read();
  bool read_was_text() const;
  // Says goodbye and waits for the answer.
  bool close(std::uint16_t code, const std::string& reason);
  // Of the server's close frame.
  std::uint16_t close_code() const;
  std::string close_reason() const;

 private:
  void connect(std::uint16_t port, const std::string& protocol);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::net

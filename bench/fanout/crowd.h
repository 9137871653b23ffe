#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/fanout/web_socket_bytes.h"

namespace terrazzo::bench {

// How a server is spoken to: what a viewer says to become one, and what a painter sends.
struct Dialect {
  bool web_socket = true;
  std::string path = "/", protocol;
  // Bytes after the handshake, and the number of frames that answer them. The painter's own differ where it gets
  // another answer to each message than the viewers.
  std::string joining, painter_joining;
  std::uint64_t frames_of_joining = 0, frames_of_painter_joining = 0;
  std::function<std::string(std::uint64_t number)> message;  // the painter's, by its number from 1
  std::size_t message_bytes = 96;                            // without WebSocket: of one message
};

struct Counted {
  double seconds = 0;
  std::uint64_t delivered = 0;
};

// Connects `viewers` and one painter, who keeps a fixed number of messages on their way: one frame to it (its own copy,
// or the server's answer) says that a message has been through. One thread, epoll.
class Crowd {
 public:
  Crowd(std::uint16_t port, int viewers, const Dialect& dialect);
  ~Crowd();
  bool ready() const { return ready_; }
  // Runs for this time and counts what arrives at the viewers.
  Counted run(double seconds);

 private:
  struct Connection {
    int fd = -1;
    FrameCounter frames;
    std::uint64_t bytes = 0, received = 0;
  };
  bool join(Connection& connection, const std::string& joining, std::uint64_t answers);
  std::uint64_t take(Connection& connection);
  void paint();

  const Dialect& dialect_;
  std::uint16_t port_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;  // the first is the painter
  std::uint64_t sent_ = 0;
  bool ready_ = false;
};

}  // namespace terrazzo::bench

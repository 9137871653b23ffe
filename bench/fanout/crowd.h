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
  // Bytes after the handshake, and the number of frames that answer them. The painters' own differ where they get
  // another answer to each message than the viewers.
  std::string joining, painter_joining;
  std::uint64_t frames_of_joining = 0, frames_of_painter_joining = 0;
  // Of a viewer of one of many places; where it is not set there is one place only, and no bystanders.
  std::function<std::string(int place)> joining_at;
  // A painter's at a place, by its number from 1; empty: no more.
  std::function<std::string(std::uint64_t number, int place)> message;
  // Without WebSocket: of one message. With it: smaller frames are other words than a message (least, for a viewer and
  // for the painter, to whom its copy or the server's answer counts).
  std::size_t message_bytes = 96, least_bytes = 0, painter_least_bytes = 0;
};

struct Counted {
  double seconds = 0;
  std::uint64_t delivered = 0, sent = 0;
};

// Viewers and painters are dealt out over the places in turn, bystanders over as many others behind them.
struct CrowdSize {
  int viewers = 0, bystanders = 0, painters = 1, places = 1;
};

// Connects painters, viewers and bystanders. One thread, epoll.
class Crowd {
 public:
  Crowd(std::uint16_t port, const CrowdSize& size, const Dialect& dialect);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  bool ready() const { return ready_; }
  // The painters keep a fixed number of messages on their way: one frame to each says that one of its has been through.
  // Runs for this time and counts what arrives at the viewers.
  Counted run_full(double seconds);
  // The one painter sends so many messages a second, whatever has become of the others. Microseconds from the sending
  // of each to its arrival at each viewer; before run_full() only, since messages are told apart by counting.
  std::vector<std::uint32_t> run_paced(double per_second, double seconds);

 private:
  struct Connection {
    int fd = -1;
    bool viewer = false;
    int place = 0;
    FrameCounter frames;
    std::uint64_t bytes = 0, received = 0, sent = 0;
  };
  bool add_all(const CrowdSize& size);
  bool add(const std::string& joining, std::uint64_t answers, std::size_t least_bytes, bool viewer, int place);
  bool join(Connection& connection, const std::string& joining, std::uint64_t answers);
  std::uint64_t take(Connection& connection);
  // Waits at most so long; `arrived` is told of each connection and how many messages it got.
  template <class Arrived>
  void turn(std::uint64_t wait_ns, Arrived&& arrived);
  bool send_next();
  // What one may send so that `window` of its messages are on their way.
  void paint(Connection& painter, std::uint64_t window);

  const Dialect& dialect_;
  std::uint16_t port_;
  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;  // the first ones are the painters
  std::size_t painters_ = 1;
  std::vector<std::byte> buffer_;
  bool ready_ = false;
};

std::uint64_t now_ns();

}  // namespace terrazzo::bench

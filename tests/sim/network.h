#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "server/runtime/completion.h"
#include "tests/sim/machine.h"

namespace terrazzo::sim {

class Loop;

// The client's end of a connection.
class Dialer {
 public:
  virtual ~Dialer() = default;
  virtual void on_connected() = 0;
  virtual void on_bytes(std::span<const std::byte> bytes) = 0;
  // Nothing comes any more; refused, reset, or the other side is done.
  virtual void on_lost() = 0;
};

// Connections of clients to the cores of the one server. Bytes arrive late, in pieces, in order within each connection
// and in any order between connections; each direction holds a bounded number of bytes, so that who does not read makes
// the other side wait. The server's ends are descriptors that the kernel does not know, for Loop and libc.cc.
class Network {
 public:
  using Link = std::uint64_t;  // 0: none; never used again

  explicit Network(Machine& machine);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // The network that this descriptor is of.
  static Network* of(int fd);

  // ---- clients ----
  // on_connected() or on_lost() follows, unless close() comes first; nothing is called after it.
  Link dial(Dialer& dialer);
  void send(Link link, std::span<const std::byte> bytes);
  std::size_t unsent(Link link) const;  // bytes that the server has not taken
  void close(Link link);
  // Reads nothing any more, until told otherwise. False: there is no such connection.
  bool hold(Link link, bool held);

  // ---- faults; false: there is nothing to strike ----
  bool cut(Link link);
  // From now on nothing comes through, in either direction.
  bool black_hole(Link link);
  bool black(Link link) const;
  // Bytes that are under way on a connection in one direction, at most.
  std::size_t room_most() const { return room_high_; }
  // Nothing is under way.
  bool quiet() const;

  // ---- the server's side, by Loop ----
  static int listen_fd(int core);
  void accept(int fd, Loop& loop, runtime::Completion* done);
  void receive(int fd, runtime::Completion* done);
  void stop_receiving(int fd);
  void send(int fd, const msghdr* message, runtime::Completion* done);
  int shutdown(int fd, int how);
  int close(int fd);
  // The loop has buffers again.
  void buffers_free(Loop& loop);
  // Everything under way on this loop ends with -ECANCELED.
  void cancel(Loop& loop);
  // All of the server's sockets go: its process is dead. What it said in this moment was never sent.
  void server_died();

 private:
  struct Listener {
    Loop* loop = nullptr;
    runtime::Completion* accept = nullptr;
  };
  struct Flow {                   // of one direction
    std::deque<std::byte> there;  // arrived, not taken
    std::size_t flying = 0;       // sent, not arrived
    std::uint64_t last_arrival = 0;
    bool ending = false, ended = false;  // the sender is done; and the receiver knows
  };
  struct Socket {
    Link link = 0;
    int fd = -1;
    Loop* loop = nullptr;      // null: the server's end is gone
    Dialer* dialer = nullptr;  // null: the client's end is gone
    bool connected = false, black = false, held = false, reset = false, shut = false;
    bool telling = false;  // the client is to be told of the end
    Flow up, down;
    std::size_t room = 0;  // bytes that fit into each direction
    runtime::Completion* receive = nullptr;
    runtime::Completion* sending = nullptr;
    const msghdr* message = nullptr;
  };

  Socket* find(Link link);
  Socket* find(int fd);
  std::uint64_t latency();
  std::uint64_t arrival(Flow& flow);
  void connect(Link link);
  void fly(Socket& socket, bool up, std::vector<std::byte> bytes);
  void arrive(Link link, bool up, const std::vector<std::byte>& bytes);
  void end_flow(Socket& socket, bool up);
  void feed_server(Socket& socket);
  void feed_client(Link link);
  void go_on_sending(Socket& socket);
  void finish_operations(Socket& socket, std::int32_t receive_result, std::int32_t send_result);
  void tell_lost(Socket& socket, std::uint64_t delay);
  void drop_if_done(Link link);

  Machine& machine_;
  Random random_;
  std::map<int, Listener> listeners_;  // by descriptor
  std::map<Link, std::unique_ptr<Socket>> sockets_;
  std::map<int, Link> by_fd_;
  Link last_link_ = 0;
  int next_fd_;
  std::uint64_t latency_ns_;
  std::size_t room_low_, room_high_;
};

}  // namespace terrazzo::sim

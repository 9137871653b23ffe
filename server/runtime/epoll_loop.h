#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/error.h"
#include "server/runtime/event_loop.h"

namespace terrazzo::runtime {

// The event loop on epoll, for where io_uring is not: the kernel says what is ready, this loop makes the calls. It
// holds no file operations (make_thread_file_queue).
//  1. A socket is registered once, edge-triggered, until close(); no call changes what is waited for. What the kernel
//     said is remembered until a call finds nothing more.
//  2. Nothing completes but in submit_and_wait().
//  3. Sockets with something to receive take turns, also when buffers are short.
class EpollLoop final : public EventLoop {
 public:
  // `receive_buffers`: how many receives may hold bytes at once; 0: this loop receives nothing.
  static Result<std::unique_ptr<EpollLoop>> create(std::uint16_t receive_buffers = 0);
  ~EpollLoop() override;

  void accept(int listen_fd, Completion* done) override;
  void receive(int fd, Completion* done) override;
  void stop_receiving(int fd, Completion* done) override;
  std::span<const std::byte> buffer(std::uint16_t id, std::size_t size) const override;
  void give_back(std::uint16_t id) override;
  void send(int fd, const msghdr* message, Completion* done) override;
  void close(int fd) override;
  void wake() override;
  void submit_and_wait(std::uint64_t timeout_ns) override;
  std::uint64_t system_calls() const override { return system_calls_; }
  bool usable_here() const override;

 private:
  struct Socket {
    Completion* incoming = nullptr;   // of the accept or receive under way
    Completion* outgoing = nullptr;   // of the send under way
    const msghdr* message = nullptr;  // what it sends
    bool registered = false, listens = false;
    bool stops = false;  // the receive is to end
    bool readable = false, writable = false;
    bool read_to_the_end = false;            // a short read does not mean that nothing is left
    bool in_turn = false, out_turn = false;  // in the queue below; stays true over close()
  };

  EpollLoop(int epoll_fd, int wake_fd, std::uint16_t receive_buffers);
  Socket& at(int fd) { return sockets_[static_cast<std::size_t>(fd)]; }
  Socket& registered(int fd, bool listens);
  void want_in(int fd);
  void want_out(int fd);
  int wait(std::uint64_t timeout_ns);
  void take(const epoll_event& event);
  void run_ready();
  void accept_some(int fd);
  void receive_some(int fd);
  void send_once(int fd);
  void finish_in(Socket& socket, std::int32_t result);
  bool can_go_on() { return !in_queue_.empty() && (at(in_queue_.front()).listens || !free_buffers_.empty()); }

  const int epoll_fd_, wake_fd_;
  bool has_pwait2_ = true, started_ = false;
  std::thread::id owner_;
  std::atomic<bool> wake_pending_{false};
  std::uint64_t system_calls_ = 0;
  std::uint64_t completions_ = 0;
  std::vector<Socket> sockets_;           // by descriptor
  std::deque<int> in_queue_;              // readable, with an accept or receive under way
  std::vector<int> out_queue_, sending_;  // writable, with a send under way
  std::vector<epoll_event> events_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint16_t> free_buffers_;  // the last used is the next: it is in the cache
};

}  // namespace terrazzo::runtime

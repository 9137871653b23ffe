#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/runtime/completion.h"

namespace terrazzo::runtime {

// What one core waits on: its sockets and wake-ups from others. Operations are queued, handed to the kernel in batches,
// and completed by submit_and_wait(), on io_uring (Ring) or on epoll (EpollLoop); tests/runtime/event_loop_test.cc is
// the contract of both.
//
// Created on any thread; it belongs to the thread of the first submit_and_wait(), and from then on every call but
// wake() is that thread's. Until then operations may be queued elsewhere. Destroyed after that thread has ended, or by
// it; no operation may be in flight then whose memory goes away later.
class EventLoop {
 public:
  // Buffers that received bytes come in, shared by all sockets, so that an idle one has none.
  static constexpr std::size_t kReceiveBytes = 16 * 1024;

  EventLoop() = default;
  virtual ~EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Sockets. At most one operation of each kind is under way on one; ::shutdown(fd, SHUT_RDWR) ends them all, soon and
  // with a completion each. What a completion says of a socket that was shut is not to be relied on.

  // Every connection that comes: its descriptor (SOCK_CLOEXEC) or -errno, until a completion without kMore.
  virtual void accept(int listen_fd, Completion* done) = 0;
  // Bytes that come, each time in a buffer that is the caller's until give_back(): their number; 0: the other side
  // sends no more; -errno; until a completion without kMore, which may be one with bytes. Without a free buffer it
  // waits for one, or ends with -ENOBUFS; asked again it goes on.
  virtual void receive(int fd, Completion* done) = 0;
  // Ends a receive early, with -ECANCELED if nothing else ended it; what had come until then is told before. Where the
  // kernel was about to tell something it may go on instead: who hears more asks again.
  virtual void stop_receiving(int fd, Completion* done) = 0;
  virtual std::span<const std::byte> buffer(std::uint16_t id, std::size_t size) const = 0;
  virtual void give_back(std::uint16_t id) = 0;
  // Completes once: with the bytes taken, at least one and perhaps fewer than there are, or -errno. `message` and what
  // it points to stay valid until then.
  virtual void send(int fd, const msghdr* message, Completion* done) = 0;
  // Closes a descriptor that nothing is under way on. Sockets that were used with this loop are closed by it.
  virtual void close(int fd) = 0;

  // Wakes this loop from another thread; safe from any thread, and from a signal handler. One before the wait counts.
  virtual void wake() = 0;
  // Hands over what is queued and waits until something completed, wake() was called, or `timeout_ns` passed (0: do not
  // wait); a signal may end the wait, too. Runs the completions.
  virtual void submit_and_wait(std::uint64_t timeout_ns) = 0;

  // System calls made by this loop.
  virtual std::uint64_t system_calls() const = 0;
  // Whether the calling thread may use the loop (no thread has begun to, or this one has).
  virtual bool usable_here() const = 0;
};

}  // namespace terrazzo::runtime

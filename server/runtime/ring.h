#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

struct io_uring;
struct io_uring_sqe;

// One io_uring per core: sockets, files, timers and wake-ups on one queue. The only file that knows liburing's flags is
// ring.cc (and net's, through raw()).
namespace terrazzo::runtime {

// What a completion calls; it only enqueues. The object must outlive the operation. `result`: as the system call's, or
// -errno; `flags`: the completion's.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void complete(std::int32_t result, std::uint32_t flags) = 0;
};

// What the kernel offers, found out once.
struct RingFeatures {
  bool available = false;
  bool multishot_accept = false, multishot_receive = false, provided_buffers = false, defer_taskrun = false,
       message_ring = false;
  std::string why_not;  // when not available: what denied it and what to do
};
RingFeatures probe_ring();

// Created on any thread; it belongs to the thread of the first submit_and_wait(), and from then on every call but
// wake() is that thread's (the kernel refuses others: IORING_SETUP_SINGLE_ISSUER). Until then operations may be queued
// elsewhere. Destroyed after that thread has ended, or by it; no operation may be in flight then whose memory goes away
// later.
class Ring {
 public:
  static Result<std::unique_ptr<Ring>> create(std::uint32_t entries);
  ~Ring();
  ::io_uring* raw();
  const RingFeatures& features() const;

  // Write all of `bytes` at `offset`, then make the file's data durable (linked). Completes once, with 0 or -errno.
  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done);
  void datasync(int fd, Completion* done);
  // Wakes this ring from another thread; safe from any thread, and from a signal handler.
  void wake();

  // An entry for the caller to prepare (io_uring_prep_…) before it asks for the next one; submits what is queued when
  // the queue is full. `done` stays attached to it: the prep functions of liburing leave user data alone. nullptr:
  // nobody wants to hear of the result.
  ::io_uring_sqe* next_entry(Completion* done);
  // Entries that next_entry() gives before it has to submit by itself; submits now when there are fewer than `count`,
  // so that a linked chain is not torn.
  void make_room(std::uint32_t count);
  // Everything queued has been handed to the kernel: what the entries point to (message headers, not data) may go.
  bool all_submitted() const;

  // Submits what is queued and waits until something completed, wake() was called, or `timeout_ns` passed (0: do not
  // wait). Runs the completions.
  void submit_and_wait(std::uint64_t timeout_ns);
  // System calls made for this ring.
  std::uint64_t enter_calls() const;
  // Whether the calling thread may use the ring (no thread has begun to, or this one has).
  bool usable_here() const;

 private:
  struct State;
  explicit Ring(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::runtime

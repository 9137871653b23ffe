#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

struct io_uring;

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

class Ring {
 public:
  static Result<std::unique_ptr<Ring>> create(std::uint32_t entries);
  ~Ring();
  ::io_uring* raw();

  // Write all of `bytes` at `offset`, then make the file's data durable (linked). Completes once, with 0 or -errno.
  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done);
  void datasync(int fd, Completion* done);
  // Wakes this ring from another thread; safe from any thread.
  void wake();

  // Submits what is queued and waits until something completed, wake() was called, or `timeout_ns` passed (0: do not
  // wait). Runs the completions.
  void submit_and_wait(std::uint64_t timeout_ns);
  std::uint64_t enter_calls() const;

 private:
  struct State;
  explicit Ring(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::runtime

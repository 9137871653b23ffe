#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "server/runtime/event_loop.h"

struct io_uring;
struct io_uring_sqe;

namespace terrazzo::runtime {

// What the kernel offers, found out once.
struct RingFeatures {
  bool available = false;
  bool multishot_accept = false, multishot_receive = false, provided_buffers = false, defer_taskrun = false,
       message_ring = false;
  std::string why_not;  // when not available: what denied it and what to do
};
RingFeatures probe_ring();
// What of the kernel a ring uses: all that is there, or what Linux 5.19 had, the oldest that will do (for the suites
// that every loop must pass).
enum class RingAge : std::uint8_t { newest, linux_5_19 };

// The event loop on one io_uring: sockets, files and wake-ups on one queue. The only files that know liburing's flags
// are ring.cc and ring_buffers.cc. The kernel refuses calls of other threads than the owner's
// (IORING_SETUP_SINGLE_ISSUER).
class Ring final : public EventLoop {
 public:
  // `receive_buffers`: how many receives may hold bytes at once, a power of two; 0: this ring receives nothing.
  static Result<std::unique_ptr<Ring>> create(std::uint32_t entries, std::uint16_t receive_buffers = 0,
                                              RingAge age = RingAge::newest);
  ~Ring() override;
  const RingFeatures& features() const;

  void accept(int listen_fd, Completion* done) override;
  void receive(int fd, Completion* done) override;
  void stop_receiving(int fd, Completion* done) override;
  std::span<const std::byte> buffer(std::uint16_t id, std::size_t size) const override;
  void give_back(std::uint16_t id) override;
  void send(int fd, const msghdr* message, Completion* done) override;
  void close(int fd) override;
  void wake() override;
  void submit_and_wait(std::uint64_t timeout_ns) override;
  std::uint64_t system_calls() const override;
  bool usable_here() const override;

  // Writes all of `bytes` at `offset`; they are durable when it completes (RWF_DSYNC). Once, with 0 or -errno.
  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done);
  void datasync(int fd, Completion* done);

  // An entry for the caller to prepare (io_uring_prep_…) before it asks for the next one; submits what is queued when
  // the queue is full. `done` stays attached to it: the prep functions of liburing leave user data alone. nullptr:
  // nobody wants to hear of the result.
  ::io_uring_sqe* next_entry(Completion* done);
  // Entries that next_entry() gives before it has to submit by itself; submits now when there are fewer than `count`.
  void make_room(std::uint32_t count);
  // Everything queued has been handed to the kernel: what the entries point to (message headers, not data) may go.
  bool all_submitted() const;

 private:
  struct State;
  explicit Ring(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::runtime

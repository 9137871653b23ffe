#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "server/runtime/completion.h"

namespace terrazzo::runtime {

class EventLoop;
class Ring;

// File operations that must not block a core: handed over on the core, carried out elsewhere, completed on the core.
// Results are 0 or -errno; the order of completions of different operations is open. One core's thread.
class FileQueue {
 public:
  virtual ~FileQueue() = default;
  // Writes all of `bytes` at `offset` and makes them durable. Not durable if either fails.
  virtual void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done) = 0;
  virtual void datasync(int fd, Completion* done) = 0;
  // Runs completions that are there; the core calls it each tick. A ring completes by itself.
  virtual void collect() {}
};

// On the core's ring, without a thread of ours.
std::unique_ptr<FileQueue> make_ring_file_queue(Ring& ring);
// On `threads` threads of its own, where io_uring may not touch files; wakes the core through its loop. Operations of
// one file stay in order. The destructor finishes what was handed over; nothing completes afterwards.
std::unique_ptr<FileQueue> make_thread_file_queue(EventLoop& wake, unsigned threads);

}  // namespace terrazzo::runtime

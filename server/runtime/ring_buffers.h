#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "server/runtime/event_loop.h"

struct io_uring;
struct io_uring_buf_ring;

namespace terrazzo::runtime {

// Buffers lent to the kernel, which picks one per receive. They must outlive the ring they are registered with.
class RingBuffers {
 public:
  static constexpr std::uint16_t kGroup = 1;

  // `count`: a power of two. The ring is known to have buffer rings.
  RingBuffers(::io_uring& ring, std::uint16_t count);
  ~RingBuffers();
  RingBuffers(const RingBuffers&) = delete;
  RingBuffers& operator=(const RingBuffers&) = delete;

  std::span<const std::byte> bytes(std::uint16_t id, std::size_t size) const {
    return {memory_.get() + id * EventLoop::kReceiveBytes, size};
  }
  // The kernel may fill it again.
  void give_back(std::uint16_t id);

 private:
  std::uint16_t count_;
  io_uring_buf_ring* entries_ = nullptr;
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace terrazzo::runtime

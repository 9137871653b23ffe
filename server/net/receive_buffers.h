#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "server/runtime/ring.h"

struct io_uring_buf_ring;

namespace terrazzo::net {

// Buffers lent to the kernel, which picks one per receive: a core's connections share them, so an idle connection has
// none.
class ReceiveBuffers {
 public:
  static constexpr std::uint16_t kGroup = 1;
  static constexpr std::size_t kBytes = 16 * 1024;

  ReceiveBuffers(runtime::Ring& ring, std::uint16_t count);
  ~ReceiveBuffers();
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

  std::span<const std::byte> bytes(std::uint16_t id, std::size_t size) const {
    return {memory_.get() + id * kBytes, size};
  }
  // The kernel may fill it again.
  void give_back(std::uint16_t id);

 private:
  runtime::Ring& ring_;
  std::uint16_t count_;
  io_uring_buf_ring* entries_ = nullptr;
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace terrazzo::net

#pragma once

#include <cstdint>

namespace terrazzo::runtime {

// What the end of an operation calls; it only enqueues. The object must outlive the operation. `result`: as the system
// call's, or -errno.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void complete(std::int32_t result, std::uint32_t flags) = 0;

  // In `flags`. The values are io_uring's, so that a ring passes them on as they are.
  static constexpr std::uint32_t kHasBuffer = 1u << 0;  // buffer_of(flags) holds what was received
  static constexpr std::uint32_t kMore = 1u << 1;       // the operation goes on and completes again
  static constexpr std::uint32_t kBufferShift = 16;
  static constexpr std::uint16_t buffer_of(std::uint32_t flags) {
    return static_cast<std::uint16_t>(flags >> kBufferShift);
  }
};

}  // namespace terrazzo::runtime

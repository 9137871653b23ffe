#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/assert.h"

namespace terrazzo::runtime {

// A bounded first-in first-out ring between one producer thread and one consumer thread, without locks. Each side keeps
// its own copy of the other's index and looks at the shared one only when the copy says full (empty), so that a batch
// costs one cache line transfer (the scheme of Lamport's queue with cached indices, as in Rigtorp's SPSCQueue and
// folly).
template <class T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit SpscRing(std::uint32_t capacity)
      : mask_(std::bit_ceil(capacity) - 1), slots_(std::make_unique_for_overwrite<T[]>(std::size_t{mask_} + 1)) {
    TZ_ASSERT(capacity > 0);
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // Producer. False: full.
  bool push(const T& value) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    slots_[tail & mask_] = value;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer. Calls visit(const T&) for what is there at the call; the slots are free again afterwards.
  template <class Visit>
  std::size_t drain(Visit&& visit) {
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    const std::uint64_t count = tail - head;
    for (; head != tail; ++head) {
      const T value = slots_[head & mask_];
      visit(value);
    }
    if (count != 0) head_.store(tail, std::memory_order_release);
    return count;
  }

  // Any thread; exact only for the consumer.
  bool empty() const { return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire); }

 private:
  const std::uint32_t mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the producer
  std::uint64_t head_seen_ = 0;
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the consumer
};

}  // namespace terrazzo::runtime

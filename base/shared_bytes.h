#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/block_pool.h"

namespace terrazzo {

// Immutable bytes shared between cores: one encoding of an edit, sent to many connections. Written by whoever allocates
// them, before the first copy; read-only afterwards. Copies count atomically, so a core takes one copy for all of its
// connections and counts those itself (net/outbox).
class SharedBytes {
 public:
  SharedBytes() = default;
  static SharedBytes allocate(std::size_t size) { return in(BlockPool::take_from_heap(sizeof(Header) + size), size); }
  // In a block of the pool, if they fit.
  static SharedBytes allocate(std::size_t size, BlockPool& pool) {
    return sizeof(Header) + size <= pool.block_bytes() ? in(pool.take(), size) : allocate(size);
  }
  SharedBytes(const SharedBytes& other) : header_(other.header_) {
    if (header_ != nullptr) header_->count.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~SharedBytes() {
    if (header_ != nullptr && header_->count.fetch_sub(1, std::memory_order_acq_rel) == 1)
      BlockPool::give_back(header_);
  }

  explicit operator bool() const { return header_ != nullptr; }
  std::size_t size() const { return header_ == nullptr ? 0 : header_->size; }
  std::span<const std::byte> bytes() const {
    return header_ == nullptr
               ? std::span<const std::byte>{}
               : std::span<const std::byte>(reinterpret_cast<const std::byte*>(header_ + 1), header_->size);
  }
  // Only before the first copy.
  std::span<std::byte> writable() {
    TZ_ASSERT(header_ != nullptr && header_->count.load(std::memory_order_relaxed) == 1);
    return {reinterpret_cast<std::byte*>(header_ + 1), header_->size};
  }

  // Hands the reference over as a plain word (through the mesh) and takes it back.
  std::uint64_t release() { return reinterpret_cast<std::uint64_t>(std::exchange(header_, nullptr)); }
  static SharedBytes adopt(std::uint64_t word) {
    SharedBytes bytes;
    bytes.header_ = reinterpret_cast<Header*>(word);
    return bytes;
  }

 private:
  struct alignas(16) Header {
    std::atomic<std::uint32_t> count;
    std::size_t size;
  };
  static SharedBytes in(void* memory, std::size_t size) {
    SharedBytes bytes;
    bytes.header_ = new (memory) Header{{1}, size};
    return bytes;
  }
  Header* header_ = nullptr;
};

}  // namespace terrazzo

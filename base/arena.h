#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace terrazzo {

// A bump allocator: things decoded together live together and go together. reset() keeps the largest block, so that the
// steady state allocates nothing. Not thread-safe; owned by one core or one caller.
class Arena {
 public:
  explicit Arena(std::size_t block_bytes = 16 * 1024) : block_bytes_(block_bytes) {}
  // Begins in `first`, which outlives it and is aligned for every fundamental type; blocks come when that is full.
  Arena(std::span<std::byte> first, std::size_t block_bytes)
      : block_bytes_(block_bytes), first_(first), block_(first.data()), size_(first.size()) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { destroy_objects(); }

  // Uninitialised memory for `count` values of a trivial type.
  template <class T>
  std::span<T> allocate_array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (count == 0) return {};
    TZ_ASSERT(count <= SIZE_MAX / 2 / sizeof(T));
    T* first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    std::uninitialized_default_construct_n(first, count);
    return {first, count};
  }

  template <class T>
  std::span<const T> copy(std::span<const T> values) {
    std::span<T> target = allocate_array<T>(values.size());
    std::uninitialized_copy(values.begin(), values.end(), target.begin());
    return target;
  }

  std::string_view copy(std::string_view text) {
    const std::span<const char> chars = copy(std::span<const char>(text.data(), text.size()));
    return {chars.data(), chars.size()};
  }

  // An object whose destructor runs at reset() or with the arena.
  template <class T, class... Args>
  T* create(Args&&... args) {
    T* object = new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    if constexpr (!std::is_trivially_destructible_v<T>)
      destructors_.push_back({object, [](void* p) { static_cast<T*>(p)->~T(); }});
    return object;
  }

  void reset() {
    destroy_objects();
    if (blocks_.size() > 1) {
      std::swap(blocks_.front(), blocks_.back());  // blocks grow, so the last is the largest
      blocks_.resize(1);
    }
    block_ = blocks_.empty() ? first_.data() : blocks_.front().bytes.get();
    size_ = blocks_.empty() ? first_.size() : blocks_.front().size;
    used_ = 0;
  }

 private:
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size = 0;
  };
  struct Destructor {
    void* object;
    void (*destroy)(void*);
  };

  void* allocate(std::size_t bytes, std::size_t alignment) {
    std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (start + bytes > size_) {
      size_ = std::max(bytes, blocks_.empty() ? block_bytes_ : blocks_.back().size * 2);
      blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size_), size_});
      block_ = blocks_.back().bytes.get();
      start = 0;  // operator new[] aligns for every fundamental type
    }
    used_ = start + bytes;
    return block_ + start;
  }

  void destroy_objects() {
    while (!destructors_.empty()) {
      destructors_.back().destroy(destructors_.back().object);
      destructors_.pop_back();
    }
  }

  std::size_t block_bytes_;
  std::span<std::byte> first_;
  std::byte* block_ = nullptr;  // the present one
  std::size_t size_ = 0, used_ = 0;
  std::vector<Block> blocks_;
  std::vector<Destructor> destructors_;
};

}  // namespace terrazzo

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace terrazzo {

// Memory blocks of one size that its owner takes and any thread gives back, for what is made on one core and let go on
// another: a block goes home, so that a steady stream in one direction allocates nothing (mimalloc's thread-free lists:
// Leijen, Zorn and de Moura, 2019).
//  1. take() is the owner's alone. Blocks given back are on a list of their own, pushed with one compare-and-swap;
//     the owner fetches the whole list, with one exchange, when it has nothing left.
//  2. Of a fetched list kept_max blocks stay; more go back to the heap.
//  3. Blocks may outlive the pool: the last one to come back takes what is left of it along.
class BlockPool {
 public:
  BlockPool(std::size_t block_bytes, std::size_t kept_max);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  std::size_t block_bytes() const { return block_bytes_; }
  // At least block_bytes(), uninitialised, aligned to 16.
  void* take();
  // A block of no pool, for give_back() to tell apart.
  static void* take_from_heap(std::size_t bytes);
  // On any thread. Null is nothing.
  static void give_back(void* memory) noexcept;
  // Blocks that are somebody's or wait for their owner to fetch them.
  std::size_t out() const { return out_; }

 private:
  struct Lists;
  struct alignas(16) Block {
    Lists* home;  // null: none
    Block* next;  // while it is on a list
  };
  // Shared with the blocks; on a cache line of its own.
  struct alignas(64) Lists {
    const std::size_t block_bytes;
    std::atomic<Block*> returned{nullptr};
    std::atomic<std::int64_t> left{0};  // after the pool: blocks that are out, once the pool has added them
  };
  static Block* closed();
  void fetch();

  const std::size_t block_bytes_, kept_max_;
  Lists* const lists_;
  Block* free_ = nullptr;
  std::size_t out_ = 0;
};

// A base for what is made in a pool, `new (pool) T`, or without one, `new T`; `delete` finds back.
struct Pooled {
  static void* operator new(std::size_t bytes) { return BlockPool::take_from_heap(bytes); }
  static void* operator new(std::size_t bytes, BlockPool& pool) {
    return bytes <= pool.block_bytes() ? pool.take() : BlockPool::take_from_heap(bytes);
  }
  static void operator delete(void* memory) { BlockPool::give_back(memory); }
  static void operator delete(void* memory, BlockPool&) { BlockPool::give_back(memory); }
};

}  // namespace terrazzo

#include "base/block_pool.h"

#include <cstdlib>
#include <new>
#include <utility>

#include "base/assert.h"

// What lies in a pool is nobody's: the address sanitizer is told so, as the heap would.
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define TZ_POISON(memory, bytes) ASAN_POISON_MEMORY_REGION(memory, bytes)
#define TZ_UNPOISON(memory, bytes) ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#else
#define TZ_POISON(memory, bytes) static_cast<void>(0)
#define TZ_UNPOISON(memory, bytes) static_cast<void>(0)
#endif

namespace terrazzo {

BlockPool::BlockPool(std::size_t block_bytes, std::size_t kept_max)
    : block_bytes_(block_bytes), kept_max_(kept_max), lists_(new Lists{block_bytes, nullptr, 0}) {}

// On `returned` after the pool: nobody will fetch.
BlockPool::Block* BlockPool::closed() {
  static constinit Block block{nullptr, nullptr};
  return &block;
}

BlockPool::~BlockPool() {
  Block* returned = lists_->returned.exchange(closed(), std::memory_order_acq_rel);
  for (; returned != nullptr; --out_) std::free(std::exchange(returned, returned->next));
  while (free_ != nullptr) std::free(std::exchange(free_, free_->next));
  const auto out = static_cast<std::int64_t>(out_);
  // Those that come back from now on count down, some perhaps before this adds them.
  if (lists_->left.fetch_add(out, std::memory_order_acq_rel) + out == 0) delete lists_;
}

void* BlockPool::take() {
  if (free_ == nullptr) fetch();
  ++out_;
  Block* block = free_;
  if (block != nullptr) {
    free_ = block->next;
    TZ_UNPOISON(block + 1, block_bytes_);
  } else {
    void* const memory = std::malloc(sizeof(Block) + block_bytes_);
    TZ_ASSERT(memory != nullptr);
    block = new (memory) Block{lists_, nullptr};
  }
  return block + 1;
}

void BlockPool::fetch() {
  if (lists_->returned.load(std::memory_order_relaxed) == nullptr) return;
  free_ = lists_->returned.exchange(nullptr, std::memory_order_acquire);
  Block** end = &free_;
  std::size_t kept = 0;
  for (; *end != nullptr && kept < kept_max_; end = &(*end)->next) ++kept;
  out_ -= kept;
  for (Block* rest = std::exchange(*end, nullptr); rest != nullptr; --out_) std::free(std::exchange(rest, rest->next));
}

void* BlockPool::take_from_heap(std::size_t bytes) {
  void* const memory = std::malloc(sizeof(Block) + bytes);
  TZ_ASSERT(memory != nullptr);
  return (new (memory) Block{nullptr, nullptr}) + 1;
}

void BlockPool::give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  Block* const block = static_cast<Block*>(memory) - 1;
  Lists* const home = block->home;
  if (home == nullptr) return std::free(block);
  TZ_POISON(memory, home->block_bytes);
  Block* seen = home->returned.load(std::memory_order_relaxed);
  do {
    if (seen == closed()) {
      std::free(block);
      if (home->left.fetch_sub(1, std::memory_order_acq_rel) == 1) delete home;
      return;
    }
    block->next = seen;
  } while (!home->returned.compare_exchange_weak(seen, block, std::memory_order_release, std::memory_order_relaxed));
}

}  // namespace terrazzo

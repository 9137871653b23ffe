#include "base/block_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "base/arena.h"
#include "base/shared_bytes.h"

namespace terrazzo {
namespace {

constexpr std::size_t kBytes = 64;

TEST(BlockPool, ABlockThatCameBackIsTakenAgain) {
  BlockPool pool(kBytes, 8);
  void* const first = pool.take();
  std::memset(first, 1, kBytes);
  BlockPool::give_back(first);
  EXPECT_EQ(pool.take(), first);
  BlockPool::give_back(first);
}

TEST(BlockPool, BlocksThatAreOutAreDifferentOnes) {
  BlockPool pool(kBytes, 8);
  std::set<void*> blocks;
  for (int i = 0; i < 100; ++i) {
    void* const block = pool.take();
    std::memset(block, i, kBytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    EXPECT_TRUE(blocks.insert(block).second);
  }
  EXPECT_EQ(pool.out(), 100u);
  for (void* const block : blocks) BlockPool::give_back(block);
}

TEST(BlockPool, KeepsAsManyAsItMay) {
  BlockPool pool(kBytes, 3);
  std::vector<void*> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back(pool.take());
  for (void* const block : blocks) BlockPool::give_back(block);
  void* const next = pool.take();  // fetches what came back: three stay, one of them is taken
  EXPECT_EQ(pool.out(), 1u);
  BlockPool::give_back(next);
}

TEST(BlockPool, BlocksOutliveIt) {
  std::vector<void*> blocks;
  {
    BlockPool pool(kBytes, 8);
    for (int i = 0; i < 5; ++i) blocks.push_back(pool.take());
    BlockPool::give_back(blocks.back());
    blocks.pop_back();
  }
  for (void* const block : blocks) {
    std::memset(block, 7, kBytes);
    BlockPool::give_back(block);
  }
}

TEST(BlockPool, GivesBackWhatIsOfNoPool) {
  void* const block = BlockPool::take_from_heap(1000);
  std::memset(block, 1, 1000);
  BlockPool::give_back(block);
  BlockPool::give_back(nullptr);
}

// Several threads give back while the owner takes, and after it is gone. The sanitizers look on.
TEST(BlockPool, IsGivenBackToByManyThreads) {
  constexpr int kThreads = 3, kRounds = 300, kBlocks = 64;
  for (int round = 0; round < kRounds; ++round) {
    auto pool = std::make_unique<BlockPool>(kBytes, 16);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      std::vector<void*> share;
      for (int i = 0; i < kBlocks; ++i) {
        share.push_back(pool->take());
        std::memset(share.back(), t, kBytes);
      }
      threads.emplace_back([share, t] {
        for (void* const block : share) {
          EXPECT_EQ(static_cast<unsigned char*>(block)[kBytes - 1], t);
          BlockPool::give_back(block);
        }
      });
    }
    for (int i = 0; i < kBlocks; ++i) BlockPool::give_back(pool->take());
    pool.reset();
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(PooledBytes, TakeABlockWhereTheyFit) {
  BlockPool pool(256, 8);
  const SharedBytes small = SharedBytes::allocate(100, pool), large = SharedBytes::allocate(1000, pool);
  EXPECT_EQ(pool.out(), 1u);
  EXPECT_EQ(small.size(), 100u);
  EXPECT_EQ(large.size(), 1000u);
}

struct Thing : Pooled {
  explicit Thing(int& destroyed) : destroyed_(destroyed) {}
  ~Thing() { ++destroyed_; }
  int& destroyed_;
};

TEST(PooledObjects, FindBackToTheirPool) {
  BlockPool pool(sizeof(Thing), 8);
  int destroyed = 0;
  {
    const std::unique_ptr<Thing> in_pool(new (pool) Thing(destroyed)), in_none = std::make_unique<Thing>(destroyed);
    EXPECT_EQ(pool.out(), 1u);
  }
  EXPECT_EQ(destroyed, 2);
  BlockPool::give_back(pool.take());
  EXPECT_EQ(pool.out(), 1u);  // the same block again
}

TEST(Arena, BeginsInMemoryThatIsLent) {
  alignas(16) std::array<std::byte, 64> first;
  Arena arena(first, 1024);
  const auto inside = [&](const void* p) { return p >= first.data() && p < first.data() + first.size(); };
  EXPECT_TRUE(inside(arena.allocate_array<std::uint64_t>(4).data()));
  EXPECT_TRUE(inside(arena.allocate_array<std::uint64_t>(4).data()));
  EXPECT_FALSE(inside(arena.allocate_array<std::uint64_t>(1).data()));
  arena.reset();
  EXPECT_FALSE(inside(arena.allocate_array<std::uint64_t>(1).data()));  // the larger block is the better one
}

}  // namespace
}  // namespace terrazzo

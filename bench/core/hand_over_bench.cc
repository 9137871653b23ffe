// What it costs that memory is taken on one core and let go on another: of the heap, and of a pool that it goes home
// to.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <semaphore>
#include <thread>

#include "base/block_pool.h"

namespace terrazzo::bench {
namespace {

constexpr std::size_t kBytes = 200;  // the frame of an edit
constexpr std::size_t kBatch = 512;  // a busy tick

template <class Take, class GiveBack>
void hand_over(benchmark::State& state, Take&& take, GiveBack&& give_back) {
  std::array<void*, kBatch> blocks{};
  std::binary_semaphore full{0}, empty{1};
  bool over = false;
  std::thread other([&] {
    for (;;) {
      full.acquire();
      if (over) return;
      for (void* const block : blocks) give_back(block);
      empty.release();
    }
  });
  for (auto _ : state) {
    empty.acquire();
    for (void*& block : blocks) {
      block = take();
      *static_cast<std::size_t*>(block) = 1;
    }
    full.release();
  }
  empty.acquire();
  over = true;
  full.release();
  other.join();
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}

void heap_block_to_another_core(benchmark::State& state) {
  hand_over(
      state, [] { return std::malloc(kBytes); }, [](void* block) { std::free(block); });
}
void pool_block_to_another_core(benchmark::State& state) {
  BlockPool pool(kBytes, 4 * kBatch);
  hand_over(
      state, [&] { return pool.take(); }, [](void* block) { BlockPool::give_back(block); });
}
// In batches as well, on one core.
template <class Take, class GiveBack>
void keep(benchmark::State& state, Take&& take, GiveBack&& give_back) {
  std::array<void*, kBatch> blocks{};
  for (auto _ : state) {
    for (void*& block : blocks) {
      block = take();
      *static_cast<std::size_t*>(block) = 1;
    }
    for (void* const block : blocks) give_back(block);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}
void heap_block_on_one_core(benchmark::State& state) {
  keep(
      state, [] { return std::malloc(kBytes); }, [](void* block) { std::free(block); });
}
void pool_block_on_one_core(benchmark::State& state) {
  BlockPool pool(kBytes, 4 * kBatch);
  keep(
      state, [&] { return pool.take(); }, [](void* block) { BlockPool::give_back(block); });
}
BENCHMARK(heap_block_to_another_core)->MeasureProcessCPUTime();
BENCHMARK(pool_block_to_another_core)->MeasureProcessCPUTime();
BENCHMARK(heap_block_on_one_core)->MeasureProcessCPUTime();
BENCHMARK(pool_block_on_one_core)->MeasureProcessCPUTime();

}  // namespace
}  // namespace terrazzo::bench

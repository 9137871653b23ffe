// "Nothing allocates per edit in the steady state" (docs/architecture.md): from the bytes of a one-cell edit to its
// frames in the viewers' outboxes and its acknowledgement. Counted, not timed.
#include <gtest/gtest.h>

#include <cstdint>

#include "tests/app/counted_allocations.h"
#include "tests/app/lone_core.h"

namespace terrazzo::app {
namespace {

// What tables and buffers need in the steady state they have after as many edits as the store has cells to touch.
constexpr int kWarm = 4096, kCounted = 4096, kPerTick = 32;

std::uint64_t allocated_by_edits(LoneCore& core) {
  const auto paint = [&](int edits) {
    for (int i = 0; i < edits; ++i) {
      core.edit();
      if (i % kPerTick == kPerTick - 1) core.drain();
    }
  };
  paint(kWarm);
  const std::uint64_t before = allocations();
  paint(kCounted);
  return allocations() - before;
}

TEST(EditAllocations, TheCounterCounts) {
  const std::uint64_t before = allocations();
  const auto one = std::make_unique<int>(1);
  BlockPool::give_back(BlockPool::take_from_heap(100));
  EXPECT_EQ(allocations() - before, *one + 1u);
}

TEST(EditAllocations, NoneForAnEditThatOneWatches) {
  LoneCore core(1);
  EXPECT_EQ(allocated_by_edits(core), 0u);
}

TEST(EditAllocations, NoneForAnEditThatManyWatch) {
  LoneCore core(200);
  EXPECT_EQ(allocated_by_edits(core), 0u);
}

TEST(EditAllocations, NoneForAnEditThatManyWatchInTheJsonForm) {
  LoneCore core(200, proto::Form::json);
  EXPECT_EQ(allocated_by_edits(core), 0u);
}

}  // namespace
}  // namespace terrazzo::app

// One core without its sockets: what a subscription and a published edit cost between the bytes of a client's message
// and the outboxes (tests/app/lone_core.h).
#include <benchmark/benchmark.h>

#include "tests/app/counted_allocations.h"
#include "tests/app/lone_core.h"

namespace terrazzo::bench {
namespace {

// 1000 clients of one place ask for its 64 chunks, one after another.
void subscriptions(benchmark::State& state) {
  app::LoneCore core(1000, static_cast<proto::Form>(state.range(0)));
  core.sent_bytes = 0;
  std::uint32_t slot = 0;
  const std::uint64_t before = app::allocations();
  for (auto _ : state) {
    core.subscribe(slot++ % 1000 + 1);
    if (slot % 32 == 0) core.drain();
  }
  core.drain();
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(app::allocations() - before), benchmark::Counter::kAvgIterations);
  state.counters["bytes"] =
      benchmark::Counter(static_cast<double>(core.sent_bytes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(subscriptions)->Arg(0)->Arg(1)->ArgName("json");

// Somebody paints, so many watch.
void published_edit(benchmark::State& state) {
  app::LoneCore core(static_cast<std::uint32_t>(state.range(0)), static_cast<proto::Form>(state.range(1)));
  for (int i = 0; i < 2000; ++i) {
    core.edit();
    if (i % 32 == 0) core.drain();
  }
  const std::uint64_t before = app::allocations();
  int since = 0;
  for (auto _ : state) {
    core.edit();
    if (++since % 32 == 0) core.drain();
  }
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(app::allocations() - before), benchmark::Counter::kAvgIterations);
}
BENCHMARK(published_edit)->ArgsProduct({{1, 200}, {0, 1}})->ArgNames({"viewers", "json"});

}  // namespace
}  // namespace terrazzo::bench

BENCHMARK_MAIN();

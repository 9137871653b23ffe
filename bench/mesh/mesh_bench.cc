// What passing messages between cores costs: the SPSC ring in batches and one by one, and waking a core that sleeps.
#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <thread>

#include "server/runtime/affinity.h"
#include "server/runtime/epoll_loop.h"
#include "server/runtime/mesh.h"
#include "server/runtime/ring.h"

namespace terrazzo::bench {
namespace {

using runtime::EventLoop;

std::unique_ptr<EventLoop> make_loop(bool ring) {
  if (ring) {
    auto made = runtime::Ring::create(64, 0);
    return made ? std::unique_ptr<EventLoop>(*std::move(made)) : nullptr;
  }
  auto made = runtime::EpollLoop::create(0);
  return made ? std::unique_ptr<EventLoop>(*std::move(made)) : nullptr;
}

void pin(int core) {
  const auto cpus = runtime::allowed_cpus();
  if (cpus.size() > 1) runtime::pin_this_thread(cpus[static_cast<std::size_t>(core) % cpus.size()]);
}

// One core sends `batch` messages a tick, another one takes them; ns per message, both working.
void messages_in_batches(benchmark::State& state) {
  const auto batch = static_cast<std::uint64_t>(state.range(0));
  auto first = make_loop(false), second = make_loop(false);
  EventLoop* const loops[] = {first.get(), second.get()};
  runtime::Mesh mesh(loops, 4096);
  std::atomic<std::uint64_t> taken{0};
  std::atomic<bool> stop{false};
  std::thread other([&] {
    pin(1);
    std::uint64_t count = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      mesh.drain(1, [&](const runtime::MeshMessage&) { ++count; });
      taken.store(count, std::memory_order_relaxed);
    }
  });
  pin(0);
  std::uint64_t sent = 0;
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < batch; ++i) mesh.post(0, 1, {});
    mesh.flush(0);
    sent += batch;
    while (sent - taken.load(std::memory_order_relaxed) > 2048) mesh.flush(0);
  }
  while (taken.load(std::memory_order_relaxed) < sent) mesh.flush(0);
  stop.store(true);
  other.join();
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK(messages_in_batches)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

// From a core to one that sleeps in its loop, and back: two wake-ups.
void wake_there_and_back(benchmark::State& state) {
  auto here = make_loop(state.range(0) != 0), there = make_loop(state.range(0) != 0);
  if (!here || !there) return state.SkipWithError("io_uring is not there");
  std::atomic<std::uint64_t> asked{0}, answered{0};
  std::atomic<bool> stop{false};
  constexpr std::uint64_t kLongNs = 1'000'000'000;
  std::thread other([&] {
    pin(1);
    for (std::uint64_t seen = 0; !stop.load();) {
      there->submit_and_wait(kLongNs);
      for (; seen < asked.load(std::memory_order_acquire); ++seen) {
        answered.fetch_add(1, std::memory_order_release);
        here->wake();
      }
    }
  });
  pin(0);
  std::uint64_t count = 0;
  for (auto _ : state) {
    asked.store(++count, std::memory_order_release);
    there->wake();
    while (answered.load(std::memory_order_acquire) < count) here->submit_and_wait(kLongNs);
  }
  stop.store(true);
  there->wake();
  other.join();
}
BENCHMARK(wake_there_and_back)->ArgName("ring")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace terrazzo::bench

BENCHMARK_MAIN();

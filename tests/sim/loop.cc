#include "tests/sim/loop.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "tests/sim/fiber.h"

namespace terrazzo::sim {

Loop::Loop(Machine& machine, Network& network, std::function<void()> run)
    : machine_(machine),
      network_(network),
      random_(machine.random.split()),
      run_(std::move(run)),
      turn_ns_(random_.log_between(kMicrosecond, 100 * kMicrosecond)) {
  const std::uint64_t count = random_.log_between(2, 64);
  for (std::uint64_t i = 0; i < count; ++i) {
    buffers_.push_back(std::make_unique<std::byte[]>(kReceiveBytes));
    free_.push_back(static_cast<std::uint16_t>(i));
  }
}

Loop::~Loop() = default;

std::span<const std::byte> Loop::buffer(std::uint16_t id, std::size_t size) const {
  return {buffers_[id].get(), size};
}

void Loop::give_back(std::uint16_t id) {
  free_.push_back(id);
  network_.buffers_free(*this);
}

std::byte* Loop::take_buffer(std::uint16_t& id) {
  if (free_.empty()) return nullptr;
  id = free_.back();
  free_.pop_back();
  return buffers_[id].get();
}

// How long a pass of the core takes, about.
std::uint64_t Loop::turn() {
  return 1 + turn_ns_ / 2 + random_.below(turn_ns_);
}

void Loop::start() {
  due_at(machine_.schedule.now() + turn());
}

void Loop::due_at(std::uint64_t time) {
  time = std::max(time, stalled_until_);
  if (due_ != 0 && due_ <= time) return;
  due_ = time;
  machine_.schedule.at(time, [this, here = std::weak_ptr<int>(alive_), number = ++number_] {
    if (here.expired() || number != number_ || dead_) return;
    due_ = 0;
    run_();
  });
}

void Loop::complete(runtime::Completion* done, std::int32_t result, std::uint32_t flags) {
  arrivals_.push_back({done, result, flags});
  if (!dead_) due_at(machine_.schedule.now() + turn());
}

void Loop::wake() {
  if (!dead_) due_at(machine_.schedule.now() + turn());
}

void Loop::stall(std::uint64_t duration_ns) {
  stalled_until_ = std::max(stalled_until_, machine_.schedule.now() + duration_ns);
  if (due_ == 0 || due_ >= stalled_until_) return;
  due_ = 0;
  due_at(stalled_until_);
}

void Loop::run_arrivals() {
  for (const Arrival& arrival : std::exchange(arrivals_, {})) arrival.done->complete(arrival.result, arrival.flags);
}

void Loop::submit_and_wait(std::uint64_t timeout_ns) {
  ++waits_;
  if (!dead_) {
    TZ_ASSERT(Fiber::inside());
    due_at(machine_.schedule.now() + (arrivals_.empty() && timeout_ns != 0 ? timeout_ns : turn()));
    Fiber::suspend();
    if (dead_) throw PowerLost{};
  } else {
    network_.cancel(*this);
  }
  run_arrivals();
}

}  // namespace terrazzo::sim

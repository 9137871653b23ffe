#include "tests/sim/checks/wake_ups.h"

#include <fmt/format.h>

namespace terrazzo::sim {

void WakeUps::look(Server& server, std::uint64_t now_ns) {
  const bool is_another_run = server.counters().starts != starts_;
  starts_ = server.counters().starts;
  if (is_another_run || server.changing()) cores_.clear();
  cores_.resize(static_cast<std::size_t>(server.cores()));
  for (int number = 0; number < server.cores() && !server.changing(); ++number) {
    Core& core = cores_[static_cast<std::size_t>(number)];
    const Loop& loop = server.loop(number);
    const bool waits = !server.assembly().node.mesh->empty(number);
    if (waits && core.waits && core.passes == loop.waits() && loop.stalled_until() < looked_ns_)
      verdict_.fail("no wake-up is lost", fmt::format("core {} sleeps, and something has been in its rings for {} ms",
                                                      number, (now_ns - looked_ns_) / kMillisecond));
    core = {waits, loop.waits()};
  }
  looked_ns_ = now_ns;
}

}  // namespace terrazzo::sim

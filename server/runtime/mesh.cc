#include "server/runtime/mesh.h"

#include "base/canary.h"

namespace terrazzo::runtime {

Mesh::Mesh(std::span<EventLoop* const> cores, std::uint32_t capacity, std::size_t backlog_max)
    : cores_(static_cast<int>(cores.size())),
      backlog_max_(backlog_max),
      wakers_(cores.begin(), cores.end()),
      sleeps_(cores.size()) {
  for (std::size_t i = 0; i < cores.size() * cores.size(); ++i) lanes_.push_back(std::make_unique<Lane>(capacity));
}

void Mesh::post(int from, int to, const MeshMessage& message) {
  TZ_ASSERT(from != to);
  Lane& l = lane(from, to);
  l.posted = true;
  if (l.overflow.empty() && l.ring.push(message)) return;
  ++l.overflowed;
  l.overflow.push_back(message);
}

void Mesh::flush(int from) {
  for (int to = 0; to < cores_; ++to) {
    Lane& l = lane(from, to);
    while (!l.overflow.empty() && l.ring.push(l.overflow.front())) {
      l.overflow.pop_front();
      if (!canary::is(canary::Bug::backlog_wakes_nobody)) l.posted = true;
    }
    if (!l.posted) continue;
    l.posted = false;
    if (exchange_sleeping(to, false)) wake(to);
  }
}

bool Mesh::has_backlog(int from) const {
  for (int to = 0; to < cores_; ++to)
    if (!lane(from, to).overflow.empty()) return true;
  return false;
}

bool Mesh::is_behind(int from) const {
  for (int to = 0; to < cores_; ++to)
    if (backlog(from, to) >= backlog_max_) return true;
  return false;
}

std::uint64_t Mesh::overflowed(int from) const {
  std::uint64_t count = 0;
  for (int to = 0; to < cores_; ++to) count += lane(from, to).overflowed;
  return count;
}

std::size_t Mesh::backlog(int from) const {
  std::size_t count = 0;
  for (int to = 0; to < cores_; ++to) count += backlog(from, to);
  return count;
}

bool Mesh::empty(int to) const {
  for (int from = 0; from < cores_; ++from)
    if (!lane(from, to).ring.empty()) return false;
  return true;
}

bool Mesh::about_to_sleep(int core) {
  exchange_sleeping(core, true);
  return empty(core);
}

void Mesh::awake(int core) {
  exchange_sleeping(core, false);
}

// Why no wake-up is lost: all accesses of a core's flag are read-modify-writes, so they have one order, and each sees
// all that was done before the ones ahead of it. A sender's comes after the core's about_to_sleep(): it (or a sender
// between them) finds `true`, and wakes. It comes before: about_to_sleep() sees the message. Not a relaxed flag with
// fences on both sides: the thread sanitizer does not know fences, and this is once per tick and receiver.
bool Mesh::exchange_sleeping(int core, bool sleeping) {
  return sleeps_[static_cast<std::size_t>(core)].sleeping.exchange(sleeping, std::memory_order_acq_rel);
}

}  // namespace terrazzo::runtime

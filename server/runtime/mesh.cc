#include "server/runtime/mesh.h"

namespace terrazzo::runtime {

Mesh::Mesh(std::span<Ring* const> cores, std::uint32_t capacity)
    : cores_(static_cast<int>(cores.size())), wakers_(cores.begin(), cores.end()), sleeps_(cores.size()) {
  for (std::size_t i = 0; i < cores.size() * cores.size(); ++i) lanes_.push_back(std::make_unique<Lane>(capacity));
}

void Mesh::post(int from, int to, const MeshMessage& message) {
  TZ_ASSERT(from != to);
  Lane& l = lane(from, to);
  l.posted = true;
  if (l.overflow.empty() && l.ring.push(message)) return;
  l.overflow.push_back(message);
}

void Mesh::flush(int from) {
  bool any = false;
  for (int to = 0; to < cores_; ++to) {
    Lane& l = lane(from, to);
    while (!l.overflow.empty() && l.ring.push(l.overflow.front())) {
      l.overflow.pop_front();
      l.posted = true;
    }
    any = any || l.posted;
  }
  if (!any) return;
  // Pairs with the fence in about_to_sleep(): either we see that the core sleeps, or it sees what we posted (Dekker).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (int to = 0; to < cores_; ++to) {
    Lane& l = lane(from, to);
    if (!l.posted) continue;
    l.posted = false;
    if (sleeps_[static_cast<std::size_t>(to)].sleeping.load(std::memory_order_relaxed)) wake(to);
  }
}

bool Mesh::has_backlog(int from) const {
  for (int to = 0; to < cores_; ++to)
    if (!lane(from, to).overflow.empty()) return true;
  return false;
}

bool Mesh::empty(int to) const {
  for (int from = 0; from < cores_; ++from)
    if (!lane(from, to).ring.empty()) return false;
  return true;
}

bool Mesh::about_to_sleep(int core) {
  sleeps_[static_cast<std::size_t>(core)].sleeping.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return empty(core);
}

void Mesh::awake(int core) { sleeps_[static_cast<std::size_t>(core)].sleeping.store(false, std::memory_order_relaxed); }

}  // namespace terrazzo::runtime

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.h"
#include "server/runtime/event_loop.h"
#include "server/runtime/spsc_ring.h"

namespace terrazzo::runtime {

// What crosses from core to core: a kind and up to 48 bytes of it, or a pointer whose ownership moves with the message.
// Trivially copyable; one cache line.
struct alignas(64) MeshMessage {
  std::uint32_t kind = 0;  // of app/mesh_kinds.h
  std::uint32_t small = 0;
  std::uint64_t words[7] = {};
};
static_assert(sizeof(MeshMessage) == 64);

// A ring for every ordered pair of cores.
//  1. Messages of one core to another arrive in the order posted.
//  2. post() neither blocks nor fails: beyond the ring's capacity the sender keeps the messages and hands them over as
//     the ring empties. Who sends asks is_behind() before it takes on work that would make more of them, once per tick:
//     so a core that does not run costs the others `backlog_max` messages each, those of one tick, and answers to what
//     sessions had asked before, which their limits bound.
//  3. A core that sleeps is woken by the first flush() after a post to it; none is missed.
class Mesh {
 public:
  // The longest a core with a backlog should wait before it flushes again: nobody tells it that a ring has emptied. Not
  // 0, because where threads are more than CPUs a spinning sender takes the CPU the receiver needs (128,000 messages,
  // four threads on two CPUs, rings of two: 40 to 57 s spinning, 0.2 to 0.3 s so). 4096 messages each time would still
  // be 40 million a second.
  static constexpr std::uint64_t kBacklogWaitNs = 100'000;

  static constexpr std::size_t kBacklogMax = 1 << 17;  // 8 MiB of messages, and what they own

  // The cores' loops, for waking them.
  Mesh(std::span<EventLoop* const> cores, std::uint32_t capacity, std::size_t backlog_max = kBacklogMax);
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  // On core `from`'s thread.
  void post(int from, int to, const MeshMessage& message);
  // Hands over what did not fit and wakes the sleeping cores that were posted to. On `from`'s thread, once per tick.
  void flush(int from);
  // Messages of `from` for `to` that wait on the sender's side.
  std::size_t backlog(int from, int to) const { return lane(from, to).overflow.size(); }
  bool has_backlog(int from) const;
  // Some core does not keep up with what `from` posts to it.
  bool is_behind(int from) const;
  // Messages of `from` that found a ring full so far, and those that still wait on its side.
  std::uint64_t overflowed(int from) const;
  std::size_t backlog(int from) const;

  // On core `to`'s thread: visit(const MeshMessage&) for everything that is there. Returns how many.
  template <class Visit>
  std::size_t drain(int to, Visit&& visit) {
    std::size_t count = 0;
    for (int from = 0; from < cores_; ++from)
      if (from != to) count += lane(from, to).ring.drain(visit);
    return count;
  }
  bool empty(int to) const;

  // On `core`'s thread, before it blocks: false when messages are there, and it must not. After it: awake().
  [[nodiscard]] bool about_to_sleep(int core);
  void awake(int core);
  // From any thread.
  void wake(int core) { wakers_[static_cast<std::size_t>(core)]->wake(); }

 private:
  struct Lane {
    explicit Lane(std::uint32_t capacity) : ring(capacity) {}
    SpscRing<MeshMessage> ring;
    std::deque<MeshMessage> overflow;  // the sender's
    bool posted = false;               // since the last flush
    std::uint64_t overflowed = 0;      // messages, the sender's
  };
  struct alignas(64) Sleep {
    std::atomic<bool> sleeping{false};
  };
  bool exchange_sleeping(int core, bool sleeping);
  Lane& lane(int from, int to) { return *lanes_[static_cast<std::size_t>(from * cores_ + to)]; }
  const Lane& lane(int from, int to) const { return *lanes_[static_cast<std::size_t>(from * cores_ + to)]; }

  const int cores_;
  const std::size_t backlog_max_;
  std::vector<EventLoop*> wakers_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Sleep> sleeps_;
};

}  // namespace terrazzo::runtime

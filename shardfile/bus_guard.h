#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace terrazzo::shardfile {

// A file that somebody cuts off, or whose disk fails, under a mapping of it is a SIGBUS for whoever touches the page.
// With the guard, a page of zeros takes its place, the mapping is marked, and the thread goes on: the owner of the
// mapping looks at the mark before it believes what it read. Faults elsewhere go where they went before.
class GuardedRange {
 public:
  GuardedRange() = default;
  ~GuardedRange() { clear(); }
  GuardedRange(const GuardedRange&) = delete;
  GuardedRange& operator=(const GuardedRange&) = delete;

  // Replaces the range guarded so far; the mark goes. Any thread; one at a time.
  void set(const void* begin, std::size_t bytes);
  void clear();
  bool faulted() const;

 private:
  int slot_ = -1;
};

// Takes SIGBUS over for the guarded ranges of the whole process; what is not in one goes on to whoever had the signal
// before. Without it ranges are only written down. Any thread, as often as it likes.
void install_bus_guard();
// Faults met since the start, in all ranges: when it stands still, no mark has changed.
std::uint64_t bus_faults();

}  // namespace terrazzo::shardfile

#include "shardfile/bus_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>

namespace terrazzo::shardfile {
namespace {

// Read by the signal handler, so nothing here ever moves. More mappings than this are not guarded.
constexpr int kSlots = 65536;
struct Slot {
  std::atomic<std::uintptr_t> begin{0}, end{0};
  std::atomic<bool> faulted{false};
};
std::array<Slot, kSlots> slots;
std::atomic<int> slots_used{0};  // those that ever were
std::atomic<std::uint64_t> faults{0};
std::mutex free_mutex;
int first_free = -1;
std::array<int, kSlots> next_free;

int take_slot() {
  const std::lock_guard lock(free_mutex);
  if (first_free >= 0) {
    const int slot = first_free;
    first_free = next_free[static_cast<std::size_t>(slot)];
    return slot;
  }
  const int used = slots_used.load();
  if (used == kSlots) return -1;
  slots_used.store(used + 1);
  return used;
}

struct sigaction action_before;  // written once, before on_bus_error() can run

// Returning runs the instruction again: with the default action the process ends there.
void pass_on(int signal, siginfo_t* info, void* context) {
  if ((action_before.sa_flags & SA_SIGINFO) != 0) return action_before.sa_sigaction(signal, info, context);
  // A fault cannot be ignored; the kernel would take the default, too.
  if (action_before.sa_handler == SIG_DFL || action_before.sa_handler == SIG_IGN) {
    ::signal(signal, SIG_DFL);
    return;
  }
  action_before.sa_handler(signal);
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int before = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (int i = 0; i < slots_used.load(); ++i) {
    Slot& slot = slots[static_cast<std::size_t>(i)];
    if (address < slot.begin.load() || address >= slot.end.load()) continue;
    constexpr std::uintptr_t kPage = 4096;
    void* const page = reinterpret_cast<void*>(address & ~(kPage - 1));
    if (::mmap(page, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      break;
    slot.faulted.store(true);
    faults.fetch_add(1);
    errno = before;
    return;
  }
  pass_on(signal, info, context);
}

}  // namespace

void GuardedRange::set(const void* begin, std::size_t bytes) {
  if (slot_ < 0) slot_ = take_slot();
  if (slot_ < 0) return;
  Slot& slot = slots[static_cast<std::size_t>(slot_)];
  slot.end.store(0);
  slot.begin.store(reinterpret_cast<std::uintptr_t>(begin));
  slot.faulted.store(false);
  slot.end.store(reinterpret_cast<std::uintptr_t>(begin) + bytes);
}

void GuardedRange::clear() {
  if (slot_ < 0) return;
  slots[static_cast<std::size_t>(slot_)].end.store(0);
  const std::lock_guard lock(free_mutex);
  next_free[static_cast<std::size_t>(slot_)] = first_free;
  first_free = slot_;
  slot_ = -1;
}

bool GuardedRange::faulted() const {
  return slot_ >= 0 && slots[static_cast<std::size_t>(slot_)].faulted.load();
}

void install_bus_guard() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::sigaction(SIGBUS, nullptr, &action_before);
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, nullptr);
  });
}

std::uint64_t bus_faults() {
  return faults.load(std::memory_order_relaxed);
}

}  // namespace terrazzo::shardfile

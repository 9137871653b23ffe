#include "tests/app/counted_allocations.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
thread_local std::uint64_t count = 0;
}

extern "C" {
void* __real_malloc(std::size_t bytes);
void* __wrap_malloc(std::size_t bytes);
void* __wrap_malloc(std::size_t bytes) {
  ++count;
  return __real_malloc(bytes);
}
}

void* operator new(std::size_t bytes) {
  ++count;
  void* memory = __real_malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace terrazzo::app {

std::uint64_t allocations() {
  return count;
}

}  // namespace terrazzo::app

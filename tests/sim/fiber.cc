#include "tests/sim/fiber.h"

#include <sys/mman.h>

#include <utility>

#include "base/assert.h"

namespace terrazzo::sim {
namespace {

constexpr std::size_t kStackBytes = 1 << 20, kGuardBytes = 4096;

}  // namespace

Fiber* Fiber::current_ = nullptr;

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  void* const stack = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TZ_ASSERT(stack != MAP_FAILED);
  stack_ = static_cast<std::byte*>(stack);
  ::mprotect(stack_, kGuardBytes, PROT_NONE);
  ::getcontext(&own_);
  own_.uc_stack.ss_sp = stack_;
  own_.uc_stack.ss_size = kStackBytes;
  own_.uc_link = &caller_;
  ::makecontext(&own_, &Fiber::enter, 0);
}

Fiber::~Fiber() {
  TZ_ASSERT(current_ != this);
  ::munmap(stack_, kStackBytes);
}

void Fiber::enter() {
  Fiber& self = *current_;
  self.body_();
  self.ended_ = true;
}

void Fiber::resume() {
  TZ_ASSERT(current_ == nullptr && !ended_);
  current_ = this;
  ::swapcontext(&caller_, &own_);
  current_ = nullptr;
}

void Fiber::suspend() {
  TZ_ASSERT(current_ != nullptr);
  Fiber* const self = current_;
  ::swapcontext(&self->own_, &self->caller_);
}

}  // namespace terrazzo::sim

#include "server/runtime/ring_buffers.h"

#include <liburing.h>
#include <sys/mman.h>

#include "base/assert.h"

namespace terrazzo::runtime {
namespace {

constexpr unsigned kBytes = EventLoop::kReceiveBytes;

}  // namespace

RingBuffers::RingBuffers(::io_uring& ring, std::uint16_t count)
    : count_(count), memory_(std::make_unique_for_overwrite<std::byte[]>(std::size_t{count} * kBytes)) {
  TZ_ASSERT(count > 0 && (count & (count - 1)) == 0);
  void* entries =
      ::mmap(nullptr, count * sizeof(::io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TZ_ASSERT(entries != MAP_FAILED);
  entries_ = static_cast<io_uring_buf_ring*>(entries);
  ::io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(entries);
  registration.ring_entries = count;
  registration.bgid = kGroup;
  TZ_ASSERT(::io_uring_register_buf_ring(&ring, &registration, 0) == 0);
  ::io_uring_buf_ring_init(entries_);
  for (std::uint16_t id = 0; id < count; ++id)
    ::io_uring_buf_ring_add(entries_, memory_.get() + id * kBytes, kBytes, id, ::io_uring_buf_ring_mask(count_), id);
  ::io_uring_buf_ring_advance(entries_, count);
}

RingBuffers::~RingBuffers() {
  ::munmap(entries_, count_ * sizeof(::io_uring_buf));
}

void RingBuffers::give_back(std::uint16_t id) {
  TZ_ASSERT(id < count_);
  ::io_uring_buf_ring_add(entries_, memory_.get() + id * kBytes, kBytes, id, ::io_uring_buf_ring_mask(count_), 0);
  ::io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace terrazzo::runtime

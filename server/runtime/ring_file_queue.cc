#include <liburing.h>
#include <sys/mman.h>

#include "server/runtime/file_queue.h"
#include "server/runtime/ring.h"

namespace terrazzo::runtime {
namespace {

class RingFileQueue final : public FileQueue {
 public:
  explicit RingFileQueue(Ring& ring) : ring_(ring) {}

  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done) override {
    ring_.write_and_datasync(fd, bytes, offset, done);
  }
  void datasync(int fd, Completion* done) override { ring_.datasync(fd, done); }
  void populate(std::span<const std::byte> memory, Completion* done) override {
    ::io_uring_sqe* const entry = ring_.next_entry(done);
    ::io_uring_prep_madvise(entry, const_cast<std::byte*>(memory.data()), static_cast<off_t>(memory.size()),
                            MADV_POPULATE_READ);
    // Would block: straight to the kernel's own threads instead of trying first.
    entry->flags |= IOSQE_ASYNC;
  }

 private:
  Ring& ring_;
};

}  // namespace

std::unique_ptr<FileQueue> make_ring_file_queue(Ring& ring) {
  return std::make_unique<RingFileQueue>(ring);
}

}  // namespace terrazzo::runtime

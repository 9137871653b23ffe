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

 private:
  Ring& ring_;
};

}  // namespace

std::unique_ptr<FileQueue> make_ring_file_queue(Ring& ring) {
  return std::make_unique<RingFileQueue>(ring);
}

}  // namespace terrazzo::runtime

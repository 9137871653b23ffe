#include "tests/sim/file_queue.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace terrazzo::sim {

FileQueue::FileQueue(Machine& machine, Loop& loop)
    : machine_(machine),
      loop_(loop),
      random_(machine.random.split()),
      usual_ns_(random_.log_between(20 * kMicrosecond, 20 * kMillisecond)) {}

std::uint64_t FileQueue::moment(int fd) {
  std::uint64_t delay = usual_ns_ / 2 + random_.below(usual_ns_);
  if (machine_.faults.strikes(Fault::slow_disk, random_)) delay += random_.log_between(kMillisecond, 10 * kSecond);
  std::uint64_t& last = last_[fd];
  last = std::max(last + 1, machine_.schedule.now() + delay);
  return last;
}

template <class Operation>
void FileQueue::later(std::uint64_t time, Operation operation) {
  machine_.schedule.at(time, [this, here = std::weak_ptr<int>(alive_), operation] {
    if (!here.expired() && !loop_.dead()) operation();
  });
}

// The kernel may take a part of the bytes; what is left is written by an operation of its own, as the ring's and the
// threads' queues do (server/runtime).
void FileQueue::write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset,
                                   runtime::Completion* done) {
  later(moment(fd), [this, fd, bytes, offset, done] {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) return loop_.complete(done, -errno, 0);
    if (written == 0 && !bytes.empty()) return loop_.complete(done, -EIO, 0);
    const auto rest = bytes.subspan(static_cast<std::size_t>(written));
    if (!rest.empty()) return write_and_datasync(fd, rest, offset + static_cast<std::uint64_t>(written), done);
    datasync(fd, done);
  });
}

void FileQueue::datasync(int fd, runtime::Completion* done) {
  later(moment(fd), [this, fd, done] {
    const int result = ::fdatasync(fd) == 0 ? 0 : -errno;
    // On disk already, and the core does not know yet.
    later(moment(fd), [this, done, result] { loop_.complete(done, result, 0); });
  });
}

}  // namespace terrazzo::sim

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "server/runtime/event_loop.h"
#include "server/runtime/file_queue.h"

namespace terrazzo::runtime {
namespace {

enum class Kind : std::uint8_t { write_and_datasync, datasync };

struct Operation {
  Kind kind;
  int fd;
  std::span<const std::byte> bytes;
  std::uint64_t offset;
  Completion* done;
};

std::int32_t write_all(const Operation& operation) {
  std::span<const std::byte> rest = operation.bytes;
  std::uint64_t at = operation.offset;
  while (!rest.empty()) {
    const ssize_t written = ::pwrite(operation.fd, rest.data(), rest.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -errno;
    if (written == 0) return -EIO;
    rest = rest.subspan(static_cast<std::size_t>(written));
    at += static_cast<std::uint64_t>(written);
  }
  return 0;
}

// A sync that failed is not tried again: the kernel may have forgotten what it could not write.
std::int32_t carry_out(const Operation& operation) {
  if (operation.kind == Kind::write_and_datasync)
    if (const std::int32_t written = write_all(operation); written != 0) return written;
  return ::fdatasync(operation.fd) == 0 ? 0 : -errno;
}

class ThreadFileQueue final : public FileQueue {
 public:
  ThreadFileQueue(EventLoop& wake, unsigned threads) : loop_(wake), lanes_(std::max(threads, 1u)) {
    for (Lane& lane : lanes_) lane.thread = std::thread([this, &lane] { work(lane); });
  }
  ~ThreadFileQueue() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    for (Lane& lane : lanes_) lane.ready.notify_one();
    for (Lane& lane : lanes_) lane.thread.join();
  }

  void write_and_datasync(int fd, std::span<const std::byte> bytes, std::uint64_t offset, Completion* done) override {
    hand_over({Kind::write_and_datasync, fd, bytes, offset, done});
  }
  void datasync(int fd, Completion* done) override { hand_over({Kind::datasync, fd, {}, 0, done}); }
  void collect() override {
    {
      const std::lock_guard lock(mutex_);
      collecting_.swap(results_);
    }
    for (const auto& [done, result] : collecting_)
      if (done != nullptr) done->complete(result, 0);
    collecting_.clear();
  }

 private:
  struct Lane {
    std::condition_variable ready;
    std::deque<Operation> waiting;
    std::thread thread;
  };
  struct Outcome {
    Completion* done;
    std::int32_t result;
  };

  // One lane for one file, so that its operations stay in order.
  void hand_over(const Operation& operation) {
    Lane& lane = lanes_[static_cast<std::size_t>(operation.fd) % lanes_.size()];
    {
      const std::lock_guard lock(mutex_);
      lane.waiting.push_back(operation);
    }
    lane.ready.notify_one();
  }

  void work(Lane& lane) {
    std::unique_lock lock(mutex_);
    for (;;) {
      lane.ready.wait(lock, [&] { return stopping_ || !lane.waiting.empty(); });
      if (lane.waiting.empty()) return;
      const Operation operation = lane.waiting.front();
      lane.waiting.pop_front();
      lock.unlock();
      const std::int32_t result = carry_out(operation);
      lock.lock();
      results_.push_back({operation.done, result});
      lock.unlock();
      loop_.wake();
      lock.lock();
    }
  }

  EventLoop& loop_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::vector<Outcome> results_, collecting_;
  std::deque<Lane> lanes_;
};

}  // namespace

std::unique_ptr<FileQueue> make_thread_file_queue(EventLoop& wake, unsigned threads) {
  return std::make_unique<ThreadFileQueue>(wake, threads);
}

}  // namespace terrazzo::runtime

#include "server/runtime/file_queue_trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "server/runtime/clock.h"
#include "server/runtime/file_queue.h"
#include "server/runtime/ring.h"

namespace terrazzo::runtime {
namespace {

constexpr std::size_t kBytes = 4096;
// A disk that is busy takes its time; what takes longer than this never comes.
constexpr std::uint64_t kPatienceNs = 5 * kNsPerSecond;

Error unsupported(const char* what, int error) {
  return {ErrorCode::unsupported, fmt::format("io_uring: {}: {}", what, std::strerror(error))};
}

struct Outcome final : Completion {
  void complete(std::int32_t r, std::uint32_t) override { result = r; }
  std::optional<std::int32_t> result;
};

// Everything an operation under way may touch.
struct Trial {
  ~Trial() {
    if (memory != MAP_FAILED) ::munmap(memory, kBytes);
    if (fd >= 0) ::close(fd);
  }
  int fd = -1;
  void* memory = MAP_FAILED;
  alignas(kBytes) std::array<std::byte, kBytes> bytes;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<FileQueue> files;
  Outcome written, synced;

  bool open(const std::string& folder) {
    fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd >= 0;
    // Not every file system has files without a name.
    std::string name = folder + "/ring-trial.XXXXXX";
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(name.c_str());
    return fd >= 0;
  }
  bool wait(const Outcome& outcome) {
    const std::uint64_t until = monotonic_ns() + kPatienceNs;
    while (!outcome.result && monotonic_ns() < until) ring->submit_and_wait(kNsPerSecond / 10);
    return outcome.result.has_value();
  }
};

}  // namespace

Status try_ring_files(const std::string& folder) {
  auto trial = std::make_unique<Trial>();
  Result<std::unique_ptr<Ring>> ring = Ring::create(8);
  if (!ring) return ring.error();
  trial->ring = *std::move(ring);
  trial->files = make_ring_file_queue(*trial->ring);
  trial->bytes.fill(std::byte{0x5a});
  if (!trial->open(folder)) return unsupported("no file to try it on", errno);
  const auto ask = [&trial](const char* what, const Outcome& outcome) -> Status {
    if (!trial->wait(outcome)) {
      static_cast<void>(trial.release());  // the kernel may still come back to it
      return unsupported(what, ETIMEDOUT);
    }
    return *outcome.result == 0 ? Status() : Status(unsupported(what, -*outcome.result));
  };
  trial->files->write_and_datasync(trial->fd, trial->bytes, 0, &trial->written);
  if (Status done = ask("a synced write", trial->written); !done) return done;
  trial->files->datasync(trial->fd, &trial->synced);
  if (Status done = ask("a data sync", trial->synced); !done) return done;
  trial->memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, trial->fd, 0);
  if (trial->memory == MAP_FAILED) return unsupported("a file to map", errno);
  if (std::memcmp(trial->memory, trial->bytes.data(), kBytes) != 0)
    return unsupported("what it wrote is not there", EIO);
  return {};
}

}  // namespace terrazzo::runtime

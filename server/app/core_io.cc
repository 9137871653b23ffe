#include "server/app/core_io.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/runtime/epoll_loop.h"
#include "server/runtime/ring.h"

namespace terrazzo::app {
namespace {

constexpr std::uint32_t kRingEntries = 4096;
constexpr std::uint16_t kReceiveBuffers = 256;  // per core: 4 MiB
// One may wait for a shard's sync while the other writes the log.
constexpr unsigned kFileThreads = 2;

Result<std::vector<CoreIo>> open_rings(const Config& config, int cores) {
  std::vector<CoreIo> all;
  for (int core = 0; core < cores; ++core) {
    Result<std::unique_ptr<runtime::Ring>> ring = runtime::Ring::create(kRingEntries, kReceiveBuffers);
    if (!ring) return ring.error();
    auto files = config.file_io == FileIo::threads ? runtime::make_thread_file_queue(**ring, kFileThreads)
                                                   : runtime::make_ring_file_queue(**ring);
    all.push_back({*std::move(ring), std::move(files)});
  }
  return all;
}

Result<std::vector<CoreIo>> open_epolls(int cores) {
  std::vector<CoreIo> all;
  for (int core = 0; core < cores; ++core) {
    Result<std::unique_ptr<runtime::EpollLoop>> loop = runtime::EpollLoop::create(kReceiveBuffers);
    if (!loop) return loop.error();
    auto files = runtime::make_thread_file_queue(**loop, kFileThreads);
    all.push_back({*std::move(loop), std::move(files)});
  }
  return all;
}

}  // namespace

Result<std::vector<CoreIo>> open_core_io(const Config& config, int cores) {
  if (config.io == Io::epoll) {
    spdlog::info("sockets on epoll, files on threads, as --io epoll says");
    return open_epolls(cores);
  }
  Result<std::vector<CoreIo>> rings = open_rings(config, cores);
  if (rings) {
    spdlog::info("sockets on io_uring, files on {}", config.file_io == FileIo::threads ? "threads" : "io_uring");
    return rings;
  }
  if (config.io == Io::ring || config.file_io == FileIo::ring) {
    return Error{rings.error().code, rings.error().message + "; or let the server run without: --io " +
                                         (config.io == Io::ring ? "auto" : "auto and --file-io auto")};
  }
  spdlog::warn("sockets on epoll, files on threads, with more CPU per message, since io_uring is not there. {}",
               rings.error().message);
  return open_epolls(cores);
}

}  // namespace terrazzo::app

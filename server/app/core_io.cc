#include "server/app/core_io.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "server/runtime/epoll_loop.h"
#include "server/runtime/file_queue_trial.h"
#include "server/runtime/ring.h"

namespace terrazzo::app {
namespace {

constexpr std::uint32_t kRingEntries = 4096;
constexpr std::uint16_t kReceiveBuffers = 256;  // per core: 4 MiB
// One may wait for a shard's sync while the other writes the log.
constexpr unsigned kFileThreads = 2;

// A ring that carries sockets may still be denied files, by a sandbox or by the file system.
Status ring_takes_files(const Config& config) {
  if (config.file_io == FileIo::threads) return Error{ErrorCode::unsupported, "as --file-io threads says"};
  return config.file_io == FileIo::ring ? Status() : runtime::try_ring_files(config.data_dir);
}

Result<std::vector<CoreIo>> open_rings(int cores, bool files_on_ring) {
  std::vector<CoreIo> all;
  for (int core = 0; core < cores; ++core) {
    Result<std::unique_ptr<runtime::Ring>> ring = runtime::Ring::create(kRingEntries, kReceiveBuffers);
    if (!ring) return ring.error();
    auto files =
        files_on_ring ? runtime::make_ring_file_queue(**ring) : runtime::make_thread_file_queue(**ring, kFileThreads);
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
  const Status files = ring_takes_files(config);
  Result<std::vector<CoreIo>> rings = open_rings(cores, files.ok());
  if (rings) {
    if (files) {
      spdlog::info("sockets on io_uring, files on io_uring");
    } else {
      spdlog::info("sockets on io_uring, files on threads: {}", files.error().message);
    }
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

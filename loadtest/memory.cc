#include "loadtest/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace terrazzo::loadtest {
namespace {

std::uint64_t page_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::uint64_t resident_bytes(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");  // proc(5): size, resident, … in pages
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * page_bytes();
}

KernelMemory KernelMemory::now() {
  KernelMemory memory;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);)
    if (line.starts_with("Slab:")) memory.slab_bytes = std::stoull(line.substr(5)) << 10;
  std::ifstream sockstat("/proc/net/sockstat");
  for (std::string line; std::getline(sockstat, line);)
    if (line.starts_with("TCP:")) memory.tcp_bytes = std::stoull(line.substr(line.rfind(' '))) * page_bytes();
  return memory;
}

SendQueues SendQueues::of_port(std::uint16_t port) {
  SendQueues queues;
  std::ifstream table("/proc/net/tcp");  // proc(5): number, local, remote, state, tx_queue:rx_queue, in hexadecimal
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, both;
    fields >> number >> local >> remote >> state >> both;
    constexpr const char* kEstablished = "01";
    if (state != kEstablished || std::stoul(local.substr(local.find(':') + 1), nullptr, 16) != port) continue;
    const std::uint64_t bytes = std::stoull(both.substr(0, both.find(':')), nullptr, 16);
    ++queues.connections;
    queues.bytes += bytes;
    queues.bytes_of_longest = std::max(queues.bytes_of_longest, bytes);
  }
  return queues;
}

Status allow_open_files(std::uint64_t count) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
    return Error{ErrorCode::internal, fmt::format("getrlimit: {}", std::strerror(errno))};
  if (files.rlim_cur >= count) return {};
  const rlim_t most = files.rlim_max;
  files.rlim_cur = std::min<rlim_t>(count, most);
  if (most >= count && ::setrlimit(RLIMIT_NOFILE, &files) == 0) return {};
  files = {count, std::max<rlim_t>(most, count)};  // as root
  if (::setrlimit(RLIMIT_NOFILE, &files) == 0) return {};
  return Error{ErrorCode::overloaded,
               fmt::format("this needs {} open files, and the hard limit is {}: raise it (ulimit -Hn {}, LimitNOFILE=, "
                           "or nofile in /etc/security/limits.conf), or ask for fewer connections",
                           count, most, count)};
}

}  // namespace terrazzo::loadtest

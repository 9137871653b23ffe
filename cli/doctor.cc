#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <vector>

#include "cli/commands.h"

namespace terrazzo::cli {
namespace {

bool color() {
  return ::isatty(STDOUT_FILENO) == 1;
}

void line_of(bool good, const std::string& what, const std::string& found, const std::string& advice = {}) {
  const char* mark = good ? (color() ? "\033[32m ok \033[0m" : " ok ") : (color() ? "\033[33mlook\033[0m" : "look");
  fmt::print("[{}] {:<18} {}\n", mark, what, found);
  if (!good && !advice.empty()) fmt::print("       {:<18} → {}\n", "", advice);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}

void look_at_kernel() {
  utsname name{};
  ::uname(&name);
  int major = 0, minor = 0;
  const bool parsed = std::sscanf(name.release, "%d.%d", &major, &minor) == 2;
  line_of(parsed && (major > 5 || (major == 5 && minor >= 19)), "kernel", name.release,
          "io_uring with provided buffers and multishot accept needs Linux 5.19; before it the server runs on epoll");
}

void look_at_io_uring() {
  io_uring ring{};
  const int error = ::io_uring_queue_init(8, &ring, 0);
  if (error < 0) {
    const std::string sysctl = first_line("/proc/sys/kernel/io_uring_disabled");
    return line_of(false, "io_uring", fmt::format("refused: {}; the server runs on epoll", std::strerror(-error)),
                   sysctl == "1" || sysctl == "2"
                       ? "for io_uring: sysctl -w kernel.io_uring_disabled=0"
                       : "for io_uring, in a container: start it with deploy/seccomp.json (the compose file does)");
  }
  std::string found = "there";
  io_uring_probe* probe = ::io_uring_get_probe_ring(&ring);
  const bool multishot = probe != nullptr && ::io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
  if (multishot) found += ", with multishot receive";
  ::io_uring_free_probe(probe);
  ::io_uring_queue_exit(&ring);
  line_of(true, "io_uring", found);
}

void look_at_limits() {
  rlimit files{}, locked{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  line_of(files.rlim_max >= 16384, "open files",
          fmt::format("{} (the server raises itself to the hard limit)", files.rlim_max),
          "one per connection and per shard: ulimit -Hn 65536, or LimitNOFILE= in the unit");
  const std::string memory =
      locked.rlim_cur == RLIM_INFINITY ? "unlimited" : fmt::format("{} KiB", locked.rlim_cur / 1024);
  line_of(locked.rlim_cur >= 8 * 1024 * 1024, "locked memory", memory,
          "older kernels count rings against it: ulimit -l unlimited, or LimitMEMLOCK=");
  const std::string backlog = first_line("/proc/sys/net/core/somaxconn");
  line_of(std::atoi(backlog.c_str()) >= 1024, "accept queue", backlog,
          "many clients at once: sysctl -w net.core.somaxconn=4096");
}

void look_at_machine() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cpus = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  line_of(cpus >= 2, "CPUs", fmt::format("{} to use, one thread each", cpus),
          "one is enough to run; fan-out to many clients wants more");
  const double gib =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 30);
  line_of(gib >= 1, "memory", fmt::format("{:.1f} GiB", gib),
          "shards are mapped: what does not fit is read again when it is looked at");
  const std::string huge = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  line_of(huge.find("[always]") == std::string::npos, "huge pages", huge.empty() ? "not offered" : huge,
          "[always] makes first touches slow and memory larger: echo madvise > "
          "/sys/kernel/mm/transparent_hugepage/enabled");
}

// What a group of edits waits for: 4 KiB and a data sync into a file of written zeros.
void look_at_disk(const std::string& folder) {
  std::error_code ignored;
  const std::string path = (::access(folder.c_str(), W_OK) == 0 ? folder : std::string(".")) + "/.terrazzo-doctor";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return line_of(false, "disk", fmt::format("{}: {}", path, std::strerror(errno)),
                   "--data names a folder that you may write to");
  struct statvfs about {};
  ::fstatvfs(fd, &about);
  const double free_gib = static_cast<double>(about.f_bavail) * static_cast<double>(about.f_frsize) / (1 << 30);
  line_of(free_gib >= 2, "disk space", fmt::format("{:.1f} GiB free for {}", free_gib, folder),
          "the log takes two segments of 64 MiB per core, shards grow as they are painted");
  std::vector<char> page(4096, 'x');
  for (int i = 0; i < 256; ++i)
    if (::pwrite(fd, page.data(), page.size(), i * 4096) < 0) break;
  ::fdatasync(fd);
  std::vector<double> times;
  for (int i = 0; i < 100; ++i) {
    const auto began = std::chrono::steady_clock::now();
    if (::pwrite(fd, page.data(), page.size(), i * 4096) < 0 || ::fdatasync(fd) != 0) break;
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
  }
  ::close(fd);
  ::unlink(path.c_str());
  if (times.empty()) return line_of(false, "disk sync", "failed", "look at dmesg");
  std::ranges::sort(times);
  const double p50 = times[times.size() / 2], p99 = times[times.size() * 99 / 100];
  line_of(p50 < 10, "disk sync",
          fmt::format("p50 {:.2f} ms, p99 {:.2f} ms: what an edit waits for to be durable", p50, p99),
          "a disk without a write cache of its own; groups of edits share one sync, so throughput suffers less than "
          "latency");
}

}  // namespace

Status doctor(const CommandLine& line) {
  look_at_kernel();
  look_at_io_uring();
  look_at_limits();
  look_at_machine();
  look_at_disk(line.data);
  return {};
}

}  // namespace terrazzo::cli

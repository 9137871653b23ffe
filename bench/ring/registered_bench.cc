// Whether registered files and buffers gain on a core's ring: the sends of a tick, one to each connection, and the
// log's write, with plain descriptors and registered ones in turns. Decision 23 rests on it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "bench/store/timing.h"

namespace terrazzo::bench {
namespace {

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "terrazzo-ring-bench: {}\n", why);
  std::exit(1);
}

struct Options {
  int connections = 200, rounds = 15;
  std::string folder = "/tmp";
};

// User and system time of all threads: what the kernel's workers do for the ring counts.
double process_cpu_ns() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ns = [](const timeval& time) {
    return 1e9 * static_cast<double>(time.tv_sec) + 1e3 * static_cast<double>(time.tv_usec);
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

// Set up as server/runtime/ring.cc does it.
class BareRing {
 public:
  explicit BareRing(unsigned entries) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    if (const int error = ::io_uring_queue_init_params(entries, &ring_, &params); error != 0)
      give_up(fmt::format("io_uring (Linux 6.1 or newer) is not there: {}", std::strerror(-error)));
  }
  ~BareRing() { ::io_uring_queue_exit(&ring_); }
  BareRing(const BareRing&) = delete;
  BareRing& operator=(const BareRing&) = delete;

  void add_files(const std::vector<int>& fds) {
    if (::io_uring_register_files(&ring_, fds.data(), static_cast<unsigned>(fds.size())) != 0)
      give_up("files cannot be registered");
  }
  void add_buffer(void* bytes, std::size_t size) {
    const iovec buffer{bytes, size};
    if (::io_uring_register_buffers(&ring_, &buffer, 1) != 0) give_up("buffers cannot be registered: see ulimit -l");
  }
  io_uring_sqe* entry() { return ::io_uring_get_sqe(&ring_); }
  void finish(int count) {
    while (count > 0) {
      if (::io_uring_submit_and_wait(&ring_, static_cast<unsigned>(count)) < 0) give_up("the ring cannot be entered");
      io_uring_cqe* done = nullptr;
      unsigned head = 0, seen = 0;
      io_uring_for_each_cqe(&ring_, head, done) {
        if (done->res < 0) give_up(std::string("an operation failed: ") + std::strerror(-done->res));
        ++seen;
      }
      ::io_uring_cq_advance(&ring_, seen);
      count -= static_cast<int>(seen);
    }
  }

 private:
  io_uring ring_{};
};

// Connections on loopback whose other ends are read by a thread and thrown away.
class Connections {
 public:
  explicit Connections(int count) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener, at, size) != 0 || ::listen(listener, count) != 0 || ::getsockname(listener, at, &size) != 0)
      give_up("no port on loopback");
    for (int i = 0; i < count; ++i) {
      const int reader = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(reader, at, size) != 0) give_up("no connection on loopback");
      senders.push_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      epoll_event event{EPOLLIN, {.fd = reader}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, reader, &event);
      readers_.push_back(reader);
    }
    ::close(listener);
    thread_ = std::thread([this] { read(); });
  }
  ~Connections() {
    stop_ = true;
    thread_.join();
    for (const std::vector<int>* fds : {&senders, &readers_})
      for (const int fd : *fds) ::close(fd);
    ::close(epoll_);
  }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  std::vector<int> senders;

 private:
  void read() {
    std::vector<char> bytes(1 << 16);
    epoll_event events[256];
    while (!stop_) {
      const int count = ::epoll_wait(epoll_, events, 256, 10);
      for (int i = 0; i < count; ++i) (void)!::read(events[i].data.fd, bytes.data(), bytes.size());
    }
  }

  int epoll_;
  std::vector<int> readers_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void report(const char* what, std::vector<double> plain, std::vector<double> registered, const char* unit) {
  const double before = quantile(std::move(plain), 0.5), after = quantile(std::move(registered), 0.5);
  fmt::print("  {:<44}{:>12.1f}{:>14.1f}{:>10.3f}  {}\n", what, before, after, after / before, unit);
}

// What a core does for an edit with so many viewers: a gather write for each, handed over and waited for together.
void sends(const Options& options) {
  const Connections connections(options.connections);
  BareRing ring(512);
  ring.add_files(connections.senders);
  std::vector<char> frame(110, 'x');
  iovec part{frame.data(), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const auto tick = [&](bool registered) {
    for (int i = 0; i < options.connections; ++i) {
      io_uring_sqe* const entry = ring.entry();
      const int fd = registered ? i : connections.senders[static_cast<std::size_t>(i)];
      ::io_uring_prep_sendmsg(entry, fd, &message, MSG_NOSIGNAL | MSG_WAITALL);
      if (registered) entry->flags |= IOSQE_FIXED_FILE;
    }
    ring.finish(options.connections);
  };
  constexpr int kTicks = 200;
  std::vector<double> cpu[2];
  for (int round = -1; round < options.rounds; ++round) {
    for (const bool registered : {false, true}) {
      const double began = thread_cpu_ns();
      for (int i = 0; i < kTicks; ++i) tick(registered);
      if (round >= 0) cpu[registered].push_back((thread_cpu_ns() - began) / (kTicks * options.connections));
    }
  }
  report("a send to one viewer, CPU of the core", cpu[0], cpu[1], "ns");
}

// A page of the log, durable when it completes; the file is written before, as segments are.
void log_writes(const Options& options) {
  const std::string path = options.folder + "/terrazzo-ring-bench-" + std::to_string(::getpid());
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::vector<char> page(4096, 'x');
  constexpr int kPages = 1024;
  for (int i = 0; i < kPages; ++i)
    if (::pwrite(fd, page.data(), page.size(), i * 4096) != 4096) give_up(path + " cannot be written");
  ::fsync(fd);
  BareRing ring(64);
  ring.add_files({fd});
  ring.add_buffer(page.data(), page.size());
  std::vector<double> wall[2], cpu[2];
  int at = 0;
  constexpr int kWrites = 50;
  for (int round = 0; round < options.rounds; ++round) {
    for (const bool registered : {false, true}) {
      const double began = process_cpu_ns();
      for (int i = 0; i < kWrites; ++i, at = (at + 1) % kPages) {
        wall[registered].push_back(time_of([&] {
                                     io_uring_sqe* const entry = ring.entry();
                                     const auto offset = static_cast<std::uint64_t>(at) * 4096;
                                     if (registered) {
                                       ::io_uring_prep_write_fixed(entry, 0, page.data(), 4096, offset, 0);
                                       entry->flags |= IOSQE_FIXED_FILE;
                                     } else {
                                       ::io_uring_prep_write(entry, fd, page.data(), 4096, offset);
                                     }
                                     entry->rw_flags = RWF_DSYNC;
                                     ring.finish(1);
                                   }) /
                                   1000);
      }
      cpu[registered].push_back((process_cpu_ns() - began) / kWrites / 1000);
    }
  }
  report("a durable page of the log, p50", wall[0], wall[1], "µs");
  report("  its CPU, the kernel's workers included", cpu[0], cpu[1], "µs");
  ::close(fd);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace terrazzo::bench

int main(int argc, char** argv) {
  terrazzo::bench::Options options;
  CLI::App app{"terrazzo-ring-bench: registered files and buffers beside plain ones on io_uring, in turns"};
  app.add_option("--connections", options.connections, "that each tick sends to")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "of each, in turns; medians")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--folder", options.folder, "where the log's file is made and removed again")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  fmt::print("  {:<44}{:>12}{:>14}{:>10}\n", "", "plain", "registered", "ratio");
  terrazzo::bench::sends(options);
  terrazzo::bench::log_writes(options);
  return 0;
}

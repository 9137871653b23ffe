#include "server/runtime/epoll_loop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "server/runtime/clock.h"

namespace terrazzo::runtime {
namespace {

constexpr std::size_t kEventsPerWait = 256;
// Of one socket before the next has its turn: 64 KiB, and a burst of connections.
constexpr int kReceivesPerTurn = 4;
constexpr int kAcceptsPerTurn = 64;
// An end, an error or urgent data (recv() stops in front of it) may lie behind what a short read gave.
constexpr std::uint32_t kMoreBehind = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

}  // namespace

Result<std::unique_ptr<EpollLoop>> EpollLoop::create(std::uint16_t receive_buffers) {
  const auto refused = [](const char* what) {
    return Error{ErrorCode::internal, fmt::format("{}: {}; raise the limit on open files", what, std::strerror(errno))};
  };
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return refused("epoll_create1");
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC);
  if (wake_fd < 0) {
    const Error error = refused("eventfd");
    ::close(epoll_fd);
    return error;
  }
  return std::unique_ptr<EpollLoop>(new EpollLoop(epoll_fd, wake_fd, receive_buffers));
}

EpollLoop::EpollLoop(int epoll_fd, int wake_fd, std::uint16_t receive_buffers)
    : epoll_fd_(epoll_fd),
      wake_fd_(wake_fd),
      events_(kEventsPerWait),
      memory_(std::make_unique_for_overwrite<std::byte[]>(receive_buffers * kReceiveBytes)) {
  for (std::uint16_t id = receive_buffers; id != 0; --id) free_buffers_.push_back(static_cast<std::uint16_t>(id - 1));
  // Edge-triggered, so that each write is told once and nobody needs to read the counter, which takes 2^64 of them.
  epoll_event event{EPOLLIN | EPOLLET, {.fd = wake_fd}};
  TZ_ASSERT(::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) == 0);
}

EpollLoop::~EpollLoop() {
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

bool EpollLoop::usable_here() const {
  return !started_ || owner_ == std::this_thread::get_id();
}

// ---- operations ----

EpollLoop::Socket& EpollLoop::registered(int fd, bool listens) {
  TZ_ASSERT(fd >= 0);
  if (static_cast<std::size_t>(fd) >= sockets_.size()) sockets_.resize(static_cast<std::size_t>(fd) + 1);
  Socket& socket = at(fd);
  if (socket.registered) return socket;
  socket.registered = true;
  socket.listens = listens;
  socket.writable = true;  // most likely; if not, the first call finds out
  // accept4() has no flag like MSG_DONTWAIT.
  if (listens) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, {.fd = fd}};
  ++system_calls_;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    // No memory, or fs.epoll.max_user_watches: nothing will ever be told of this socket. The first call ends it.
    TZ_ASSERT(errno == ENOMEM || errno == ENOSPC);
    ::shutdown(fd, SHUT_RDWR);
    socket.readable = true;
  }
  return socket;
}

void EpollLoop::want_in(int fd) {
  if (!std::exchange(at(fd).in_turn, true)) in_queue_.push_back(fd);
}
void EpollLoop::want_out(int fd) {
  if (!std::exchange(at(fd).out_turn, true)) out_queue_.push_back(fd);
}

void EpollLoop::accept(int listen_fd, Completion* done) {
  Socket& socket = registered(listen_fd, true);
  TZ_ASSERT(socket.listens && socket.incoming == nullptr);
  socket.incoming = done;
  if (socket.readable) want_in(listen_fd);
}

void EpollLoop::receive(int fd, Completion* done) {
  TZ_ASSERT(memory_ != nullptr);
  Socket& socket = registered(fd, false);
  TZ_ASSERT(!socket.listens && socket.incoming == nullptr);
  socket.incoming = done;
  if (socket.readable) want_in(fd);
}

void EpollLoop::stop_receiving(int fd, Completion* done) {
  Socket& socket = at(fd);
  if (socket.incoming != done) return;
  socket.stops = true;
  want_in(fd);
}

void EpollLoop::send(int fd, const msghdr* message, Completion* done) {
  Socket& socket = registered(fd, false);
  TZ_ASSERT(!socket.listens && socket.outgoing == nullptr);
  socket.outgoing = done;
  socket.message = message;
  if (socket.writable) want_out(fd);
}

void EpollLoop::close(int fd) {
  if (static_cast<std::size_t>(fd) < sockets_.size()) {
    Socket& socket = at(fd);
    TZ_ASSERT(socket.incoming == nullptr && socket.outgoing == nullptr);
    // What the queues say of this number holds for the next socket that gets it, too: it is looked at, no more.
    Socket unused;
    unused.in_turn = socket.in_turn;
    unused.out_turn = socket.out_turn;
    socket = unused;
  }
  ++system_calls_;
  ::close(fd);  // and with its last descriptor the socket leaves the epoll set
}

std::span<const std::byte> EpollLoop::buffer(std::uint16_t id, std::size_t size) const {
  return {memory_.get() + id * kReceiveBytes, size};
}
void EpollLoop::give_back(std::uint16_t id) {
  free_buffers_.push_back(id);
}

// ---- waiting ----

void EpollLoop::wake() {
  if (wake_pending_.exchange(true, std::memory_order_acq_rel)) return;  // one is on its way
  const std::uint64_t one = 1;
  const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
  TZ_ASSERT(written == sizeof(one));
}

void EpollLoop::submit_and_wait(std::uint64_t timeout_ns) {
  if (!std::exchange(started_, true)) owner_ = std::this_thread::get_id();
  TZ_ASSERT(owner_ == std::this_thread::get_id());
  const std::uint64_t before = completions_;
  run_ready();
  const bool more = completions_ != before || can_go_on() || !out_queue_.empty();
  const int count = wait(more ? 0 : timeout_ns);
  for (int i = 0; i < count; ++i) take(events_[static_cast<std::size_t>(i)]);
  run_ready();
}

int EpollLoop::wait(std::uint64_t timeout_ns) {
  ++system_calls_;
  int count = -1;
  if (has_pwait2_) {
    const timespec timeout{static_cast<time_t>(timeout_ns / kNsPerSecond),
                           static_cast<long>(timeout_ns % kNsPerSecond)};
    count = ::epoll_pwait2(epoll_fd_, events_.data(), kEventsPerWait, &timeout, nullptr);
    // Before Linux 5.11, and under seccomp profiles of that time: whole milliseconds, rather too long than a spin.
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) has_pwait2_ = false;
  }
  if (!has_pwait2_) {
    const std::uint64_t ms = std::min<std::uint64_t>((timeout_ns + kNsPerMs - 1) / kNsPerMs, 1'000'000);
    count = ::epoll_wait(epoll_fd_, events_.data(), kEventsPerWait, static_cast<int>(ms));
  }
  TZ_ASSERT(count >= 0 || errno == EINTR);
  return count;
}

void EpollLoop::take(const epoll_event& event) {
  const int fd = event.data.fd;
  if (fd == wake_fd_) {
    // An exchange and not a store: it reads what the waker wrote, so that everything the waker did before wake() is
    // seen.
    wake_pending_.exchange(false, std::memory_order_acq_rel);
    return;
  }
  Socket& socket = at(fd);
  if ((event.events & (EPOLLIN | kMoreBehind)) != 0) {
    socket.readable = true;
    socket.read_to_the_end |= (event.events & kMoreBehind) != 0;
    if (socket.incoming != nullptr) want_in(fd);
  }
  if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    socket.writable = true;
    if (socket.outgoing != nullptr) want_out(fd);
  }
}

// ---- the calls ----

void EpollLoop::run_ready() {
  sending_.swap(out_queue_);
  for (const int fd : sending_) {
    at(fd).out_turn = false;
    send_once(fd);
  }
  sending_.clear();
  // Whoever has more comes again after all others. Without buffers the rest wait at the front.
  for (std::size_t turns = in_queue_.size(); turns != 0; --turns) {
    const int fd = in_queue_.front();
    if (!at(fd).listens && free_buffers_.empty()) break;
    in_queue_.pop_front();
    at(fd).in_turn = false;
    if (at(fd).listens) {
      accept_some(fd);
    } else {
      receive_some(fd);
    }
    if (at(fd).incoming != nullptr && at(fd).readable) want_in(fd);
  }
}

void EpollLoop::finish_in(Socket& socket, std::int32_t result) {
  ++completions_;
  socket.stops = false;
  std::exchange(socket.incoming, nullptr)->complete(result, 0);
}

// A completion may queue operations, so `sockets_` may move with each.
void EpollLoop::accept_some(int fd) {
  for (int i = 0; i < kAcceptsPerTurn && at(fd).incoming != nullptr && at(fd).readable; ++i) {
    ++system_calls_;
    const int accepted = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted >= 0) {
      ++completions_;
      at(fd).incoming->complete(accepted, Completion::kMore);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      at(fd).readable = false;
    } else if (errno != EINTR) {
      // `readable` stays: out of descriptors, the same connection is there next time.
      finish_in(at(fd), -errno);
    }
  }
}

void EpollLoop::receive_some(int fd) {
  if (at(fd).stops) return finish_in(at(fd), -ECANCELED);
  for (int i = 0; i < kReceivesPerTurn && at(fd).incoming != nullptr && at(fd).readable; ++i) {
    if (free_buffers_.empty()) return;
    const std::uint16_t id = free_buffers_.back();
    ++system_calls_;
    const ssize_t size = ::recv(fd, memory_.get() + id * kReceiveBytes, kReceiveBytes, MSG_DONTWAIT);
    if (size > 0) {
      free_buffers_.pop_back();
      Socket& socket = at(fd);
      // What comes from now on is told anew (epoll(7): a short read of a stream says that it is empty).
      if (static_cast<std::size_t>(size) < kReceiveBytes && !socket.read_to_the_end) socket.readable = false;
      ++completions_;
      socket.incoming->complete(static_cast<std::int32_t>(size), Completion::kHasBuffer | Completion::kMore |
                                                                     std::uint32_t{id} << Completion::kBufferShift);
    } else if (size == 0) {
      finish_in(at(fd), 0);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      at(fd).readable = false;
    } else if (errno != EINTR) {
      finish_in(at(fd), -errno);
    }
  }
}

void EpollLoop::send_once(int fd) {
  Socket& socket = at(fd);
  if (socket.outgoing == nullptr || !socket.writable) return;
  ssize_t size = -1;
  do {
    ++system_calls_;
    size = ::sendmsg(fd, socket.message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    socket.writable = false;
    return;
  }
  ++completions_;
  socket.message = nullptr;
  std::exchange(socket.outgoing, nullptr)->complete(size < 0 ? -errno : static_cast<std::int32_t>(size), 0);
}

}  // namespace terrazzo::runtime

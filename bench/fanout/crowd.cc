#include "bench/fanout/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

namespace terrazzo::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kWindow = 32;  // messages on their way

bool send_all(int fd, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

Crowd::Crowd(std::uint16_t port, int viewers, const Dialect& dialect)
    : dialect_(dialect), port_(port), epoll_(::epoll_create1(0)) {
  for (int i = 0; i <= viewers; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    const bool painter = i == 0;
    if (!join(*connections_.back(), painter ? dialect.painter_joining : dialect.joining,
              painter ? dialect.frames_of_painter_joining : dialect.frames_of_joining))
      return;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connections_.back().get();
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_.back()->fd, &event);
  }
  ready_ = true;
}

Crowd::~Crowd() {
  for (const auto& connection : connections_)
    if (connection->fd >= 0) ::close(connection->fd);
  ::close(epoll_);
}

bool Crowd::join(Connection& c, const std::string& joining, std::uint64_t answers) {
  c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{10, 0};
  ::setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  if (!dialect_.web_socket) return true;
  if (!send_all(c.fd, handshake(port_, dialect_.path, dialect_.protocol))) return false;
  std::string head;
  for (char byte = 0; !head.ends_with("\r\n\r\n"); head.push_back(byte))
    if (::recv(c.fd, &byte, 1, 0) != 1) return false;
  if (!joining.empty() && !send_all(c.fd, joining)) return false;
  for (std::uint64_t frames = 0; frames < answers;) {
    std::byte buffer[65536];
    const ssize_t got = ::recv(c.fd, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    frames += c.frames.feed({buffer, static_cast<std::size_t>(got)});
  }
  return head.starts_with("HTTP/1.1 101");
}

std::uint64_t Crowd::take(Connection& c) {
  std::byte buffer[262144];
  std::uint64_t received = 0;
  const ssize_t got = ::recv(c.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got <= 0) return 0;
  if (dialect_.web_socket) {
    received = c.frames.feed({buffer, static_cast<std::size_t>(got)});
  } else {
    const std::uint64_t before = c.bytes / dialect_.message_bytes;
    c.bytes += static_cast<std::uint64_t>(got);
    received = c.bytes / dialect_.message_bytes - before;
  }
  c.received += received;
  return received;
}

void Crowd::paint() {
  Connection& painter = *connections_.front();
  std::string bytes;
  while (sent_ < painter.received + kWindow) bytes += dialect_.message(++sent_);
  if (!bytes.empty()) send_all(painter.fd, bytes);
}

Counted Crowd::run(double seconds) {
  Counted counted;
  const auto began = Clock::now(),
             until = began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  paint();
  while (Clock::now() < until) {
    epoll_event events[512];
    const int count = ::epoll_wait(epoll_, events, 512, 100);
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      const std::uint64_t received = take(connection);
      if (&connection != connections_.front().get()) counted.delivered += received;
    }
    paint();
  }
  counted.seconds = std::chrono::duration<double>(Clock::now() - began).count();
  return counted;
}

}  // namespace terrazzo::bench

#include "bench/fanout/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace terrazzo::bench {
namespace {

constexpr std::uint64_t kWindow = 32;  // messages on their way
constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kLateNs = 10 * kNsPerSecond;  // for what is under way when a paced run ends

bool send_all(int fd, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

Crowd::Crowd(std::uint16_t port, const CrowdSize& size, const Dialect& dialect)
    : dialect_(dialect),
      port_(port),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      painters_(static_cast<std::size_t>(size.painters)),
      buffer_(256 * 1024) {
  ready_ = add_all(size);
}

bool Crowd::add_all(const CrowdSize& size) {
  const auto joining = [&](int place) { return dialect_.joining_at ? dialect_.joining_at(place) : dialect_.joining; };
  for (int i = 0; i < size.painters; ++i)
    if (!add(dialect_.painter_joining, dialect_.frames_of_painter_joining, dialect_.painter_least_bytes, false,
             i % size.places))
      return false;
  for (int i = 0; i < size.viewers; ++i)
    if (!add(joining(i % size.places), dialect_.frames_of_joining, dialect_.least_bytes, true, i % size.places))
      return false;
  for (int i = 0; i < size.bystanders; ++i) {
    const int place = size.places + i % size.places;
    if (!add(joining(place), dialect_.frames_of_joining, dialect_.least_bytes, false, place)) return false;
  }
  return true;
}

Crowd::~Crowd() {
  for (const auto& connection : connections_)
    if (connection->fd >= 0) ::close(connection->fd);
  ::close(epoll_);
}

bool Crowd::add(const std::string& joining, std::uint64_t answers, std::size_t least_bytes, bool viewer, int place) {
  connections_.push_back(std::make_unique<Connection>());
  Connection& connection = *connections_.back();
  if (!join(connection, joining, answers)) return false;
  connection.viewer = viewer;
  connection.place = place;
  connection.frames.count_from(least_bytes);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &connection;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) == 0;
}

bool Crowd::join(Connection& c, const std::string& joining, std::uint64_t answers) {
  c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
    const ssize_t got = ::recv(c.fd, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return false;
    frames += c.frames.feed({buffer_.data(), static_cast<std::size_t>(got)});
  }
  return head.starts_with("HTTP/1.1 101");
}

std::uint64_t Crowd::take(Connection& c) {
  const ssize_t got = ::recv(c.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got <= 0) return 0;
  std::uint64_t received = 0;
  if (dialect_.web_socket) {
    received = c.frames.feed({buffer_.data(), static_cast<std::size_t>(got)});
  } else {
    const std::uint64_t before = c.bytes / dialect_.message_bytes;
    c.bytes += static_cast<std::uint64_t>(got);
    received = c.bytes / dialect_.message_bytes - before;
  }
  c.received += received;
  return received;
}

template <class Arrived>
void Crowd::turn(std::uint64_t wait_ns, Arrived&& arrived) {
  epoll_event events[512];
  const timespec wait{static_cast<time_t>(wait_ns / kNsPerSecond), static_cast<long>(wait_ns % kNsPerSecond)};
  const int count = ::epoll_pwait2(epoll_, events, 512, &wait, nullptr);
  for (int i = 0; i < count; ++i) {
    auto& connection = *static_cast<Connection*>(events[i].data.ptr);
    arrived(connection, take(connection));
  }
}

bool Crowd::send_next() {
  Connection& painter = *connections_.front();
  const std::string bytes = dialect_.message(painter.sent + 1, painter.place);
  if (bytes.empty() || !send_all(painter.fd, bytes)) return false;
  ++painter.sent;
  return true;
}

void Crowd::paint(Connection& painter, std::uint64_t window) {
  std::string bytes;
  while (painter.sent < painter.received + window) {
    const std::string message = dialect_.message(painter.sent + 1, painter.place);
    if (message.empty()) break;
    bytes += message;
    ++painter.sent;
  }
  if (!bytes.empty()) send_all(painter.fd, bytes);
}

Counted Crowd::run_full(double seconds) {
  Counted counted;
  const std::uint64_t began = now_ns(), until = began + static_cast<std::uint64_t>(seconds * 1e9);
  const std::uint64_t window = std::max<std::uint64_t>(kWindow / painters_, 1);
  const auto all_sent = [&] {
    std::uint64_t sent = 0;
    for (std::size_t i = 0; i < painters_; ++i) sent += connections_[i]->sent;
    return sent;
  };
  const std::uint64_t sent_before = all_sent();
  for (std::size_t i = 0; i < painters_; ++i) paint(*connections_[i], window);
  while (now_ns() < until) {
    turn(kNsPerSecond / 10, [&](Connection& connection, std::uint64_t received) {
      if (connection.viewer) counted.delivered += received;
    });
    for (std::size_t i = 0; i < painters_; ++i) paint(*connections_[i], window);
  }
  counted.seconds = static_cast<double>(now_ns() - began) / 1e9;
  counted.sent = all_sent() - sent_before;
  return counted;
}

std::vector<std::uint32_t> Crowd::run_paced(double per_second, double seconds) {
  std::vector<std::uint32_t> latencies;
  const Connection& painter = *connections_.front();
  std::vector<std::uint64_t> sent_at(painter.sent + 1, 0);
  const auto viewers = static_cast<std::uint64_t>(
      std::ranges::count_if(connections_, [](const auto& connection) { return connection->viewer; }));
  const std::uint64_t before = painter.sent, began = now_ns(),
                      until = began + static_cast<std::uint64_t>(seconds * 1e9);
  const double interval_ns = 1e9 / per_second;
  std::uint64_t missing = 0;
  double due = static_cast<double>(began);
  const auto arrived = [&](Connection& connection, std::uint64_t received) {
    if (!connection.viewer) return;
    const std::uint64_t now = now_ns();
    for (std::uint64_t number = connection.received - received + 1; number <= connection.received; ++number) {
      if (number <= before || number >= sent_at.size()) continue;
      latencies.push_back(static_cast<std::uint32_t>((now - sent_at[number]) / 1000));
      --missing;
    }
  };
  for (std::uint64_t now = began; now < until || (missing != 0 && now < until + kLateNs); now = now_ns()) {
    while (now < until && due <= static_cast<double>(now)) {
      sent_at.push_back(now_ns());
      if (!send_next()) return latencies;
      missing += viewers;
      due += interval_ns;
    }
    const double next = now < until ? due : static_cast<double>(until + kLateNs);
    turn(next <= static_cast<double>(now) ? 0 : static_cast<std::uint64_t>(next) - now, arrived);
  }
  return latencies;
}

}  // namespace terrazzo::bench

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "server/net/network.h"

namespace terrazzo::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn
// What lies in the kernel and has not been sent (TCP_NOTSENT_LOWAT). A client that stops reading but acknowledges costs
// this much (52 to 61 KiB were measured, segments being what they are), while what is under way to a distant one may
// still fill the whole send buffer. 16 KiB cost as much memory, 64 KiB twice that; throughput on loopback was the same.
constexpr int kUnsentBytes = 32 * 1024;

bool parse_address(const std::string& host, std::uint16_t port, sockaddr_storage& address, socklen_t& size) {
  const std::string literal = host == "localhost" ? "127.0.0.1" : host;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  if (::inet_pton(AF_INET, literal.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size = sizeof(sockaddr_in);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (::inet_pton(AF_INET6, literal.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  size = sizeof(sockaddr_in6);
  return true;
}

// Accepted sockets inherit these from the listener, so that they cost no call per connection.
void bound_kernel_memory(int fd, std::size_t bytes) {
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof kUnsentBytes);
  if (bytes == 0) return;
  const int half = static_cast<int>(std::min<std::size_t>(bytes / 2, INT_MAX / 2));  // the kernel doubles it: socket(7)
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

}  // namespace

Result<int> open_listener(const std::string& host, std::uint16_t port, std::size_t kernel_bytes_max) {
  sockaddr_storage address{};
  socklen_t size = 0;
  if (!parse_address(host, port, address, size))
    return Error{ErrorCode::bad_message,
                 fmt::format("cannot listen on \"{}\": give an address like 127.0.0.1, 0.0.0.0 or ::1", host)};
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{ErrorCode::internal, fmt::format("socket: {}", std::strerror(errno))};
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  bound_kernel_memory(fd, kernel_bytes_max);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error = errno;
    ::close(fd);
    const char* hint = error == EADDRINUSE
                           ? "; another program has the port: stop it, or take another one (port 0: any free one)"
                       : error == EACCES        ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
                       : error == EADDRNOTAVAIL ? "; this machine has no such address"
                                                : "";
    return Error{ErrorCode::conflict,
                 fmt::format("cannot listen on {}:{}: {}{}", host, port, std::strerror(error), hint)};
  }
  return fd;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port)
                                       : ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::size_t send_buffer_bytes(int fd) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  return ::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace terrazzo::net

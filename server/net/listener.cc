#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "server/net/network.h"

namespace terrazzo::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

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

}  // namespace

Result<int> open_listener(const std::string& host, std::uint16_t port) {
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

}  // namespace terrazzo::net

// The least a broadcast server can do: for every message of kMessageBytes from anybody, one send() of it per
// connection. No protocol, no log, no interest: the yardstick for what the others cost. Prints its port; ends when its
// input ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {
constexpr std::size_t kMessageBytes = 96;
}

int main() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 4096) != 0)
    return 1;
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
  std::fflush(stdout);

  const int epoll = ::epoll_create1(0);
  const auto watch = [&](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  watch(listener);
  watch(STDIN_FILENO);
  std::map<int, std::string> partial;
  std::vector<int> connections;
  for (;;) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == STDIN_FILENO) return 0;
      if (fd == listener) {
        const int accepted = ::accept(listener, nullptr, nullptr);
        const int on = 1;
        ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections.push_back(accepted);
        watch(accepted);
        continue;
      }
      char buffer[65536];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got <= 0) {
        connections.erase(std::remove(connections.begin(), connections.end(), fd), connections.end());
        ::close(fd);
        continue;
      }
      std::string& bytes = partial[fd];
      bytes.append(buffer, static_cast<std::size_t>(got));
      for (; bytes.size() >= kMessageBytes; bytes.erase(0, kMessageBytes))
        for (const int to : connections)
          if (::send(to, bytes.data(), kMessageBytes, MSG_NOSIGNAL) < 0) continue;
    }
  }
}

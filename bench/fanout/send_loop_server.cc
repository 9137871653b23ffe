// The least a broadcast server can do: for every message of kMessageBytes from anybody, one send() of it per
// connection. No protocol, no log, no interest: the yardstick for what the others cost. Prints its port; ends when its
// input ends.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "bench/fanout/loopback_server.h"

namespace {
constexpr std::size_t kMessageBytes = 96;
}

int main() {
  const int listener = terrazzo::bench::listen_on_loopback();
  const int epoll = ::epoll_create1(0);
  terrazzo::bench::watch(epoll, listener, EPOLLIN);
  terrazzo::bench::watch(epoll, STDIN_FILENO, EPOLLIN);
  std::map<int, std::string> partial;
  std::vector<int> connections;
  for (;;) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == STDIN_FILENO) return 0;
      if (fd == listener) {
        connections.push_back(terrazzo::bench::take_connection(epoll, listener));
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

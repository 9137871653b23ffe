// The least a server of map views can do: for every message that comes on a connection (its first byte is enough, the
// rest of what came with it is thrown away), as many bytes as its argument says, to that connection. No protocol: the
// yardstick for what loading a view costs. Prints its port; ends when its input ends.
#include <cstdlib>
#include <map>
#include <string>

#include "bench/fanout/loopback_server.h"

int main(int argc, char** argv) {
  const std::string blob(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 65536, 'b');
  const int listener = terrazzo::bench::listen_on_loopback();
  const int epoll = ::epoll_create1(0);
  terrazzo::bench::watch(epoll, listener, EPOLLIN);
  terrazzo::bench::watch(epoll, STDIN_FILENO, EPOLLIN);
  std::map<int, std::size_t> owed;
  for (;;) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == STDIN_FILENO) return 0;
      if (fd == listener) {
        terrazzo::bench::take_connection(epoll, listener);
        continue;
      }
      if ((events[i].events & EPOLLIN) != 0) {
        char buffer[65536];
        if (::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) <= 0) {
          owed.erase(fd);
          ::close(fd);
          continue;
        }
        owed[fd] += blob.size();
      }
      std::size_t& rest = owed[fd];
      while (rest != 0) {
        const std::size_t at = blob.size() - (rest - 1) % blob.size() - 1;
        const ssize_t sent = ::send(fd, blob.data() + at, blob.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        rest -= static_cast<std::size_t>(sent);
      }
      terrazzo::bench::watch(epoll, fd, rest != 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
  }
}

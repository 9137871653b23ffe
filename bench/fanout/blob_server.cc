// The least a server of map views can do: for every message that comes on a connection (its first byte is enough, the
// rest of what came with it is thrown away), as many bytes as its argument says, to that connection. No protocol: the
// yardstick for what loading a view costs. Prints its port; ends when its input ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace {

int open_listener() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 4096) != 0)
    return -1;
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("listening on http://127.0.0.1:%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string blob(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 65536, 'b');
  const int listener = open_listener();
  if (listener < 0) return 1;
  const int epoll = ::epoll_create1(0);
  const auto watch = [&](int fd, unsigned events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, operation, fd, &event);
  };
  watch(listener, EPOLLIN, EPOLL_CTL_ADD);
  watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
  std::map<int, std::size_t> owed;
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
        watch(accepted, EPOLLIN, EPOLL_CTL_ADD);
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
      watch(fd, rest != 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
  }
}

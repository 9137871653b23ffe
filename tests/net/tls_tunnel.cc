#include "tests/net/tls_tunnel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "server/net/network.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;
constexpr int kBufferBytes = 16 * 1024;  // small, so that a client that does not read is soon felt by the server

struct SslFree {
  void operator()(::SSL* ssl) const { ::SSL_free(ssl); }
  void operator()(::SSL_CTX* context) const { ::SSL_CTX_free(context); }
};

// One connection: the client's plain socket, the server's TLS socket, and a piece in each direction.
struct Passage {
  int plain = -1, sealed = -1;
  std::unique_ptr<::SSL, SslFree> ssl;
  std::string out, in;                     // to the server, to the client
  bool client_done = false, told = false;  // the client sends no more; the server was told
  bool server_done = false, passed = false;
  bool over = false;

  ~Passage() {
    ::close(plain);
    ::close(sealed);
  }
  void break_both() {
    const linger at_once{1, 0};
    ::setsockopt(sealed, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    over = true;
  }

  void advance() {
    from_client();
    to_server();
    from_server();
    to_client();
    if (client_done && told && server_done && passed) over = true;
  }
  void from_client() {
    if (client_done || !out.empty()) return;
    char bytes[kPieceBytes];
    const ssize_t size = ::recv(plain, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) out.assign(bytes, static_cast<std::size_t>(size));
    if (size == 0) client_done = true;
    if (size < 0 && errno != EAGAIN && errno != EINTR) break_both();
  }
  void to_server() {
    if (over || told) return;
    ::ERR_clear_error();
    if (!out.empty()) {
      const int result = ::SSL_write(ssl.get(), out.data(), static_cast<int>(out.size()));
      if (result > 0) return out.clear();
      const int error = ::SSL_get_error(ssl.get(), result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) broken();
    } else if (client_done && ::SSL_is_init_finished(ssl.get()) != 0) {
      const int result = ::SSL_shutdown(ssl.get());
      if (result < 0 && ::SSL_get_error(ssl.get(), result) == SSL_ERROR_WANT_WRITE) return;
      ::shutdown(sealed, SHUT_WR);
      told = true;
    }
  }
  void from_server() {
    if (over || server_done || !in.empty()) return;
    ::ERR_clear_error();
    char bytes[kPieceBytes];
    const int result = ::SSL_read(ssl.get(), bytes, sizeof bytes);
    if (result > 0) {
      in.assign(bytes, static_cast<std::size_t>(result));
      return;
    }
    const int error = ::SSL_get_error(ssl.get(), result);
    if (error == SSL_ERROR_ZERO_RETURN) {
      server_done = true;
    } else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      broken();
    }
  }
  // A cut instead of an end, or TLS that does not check: the client sees an end.
  void broken() {
    server_done = true;
    client_done = told = true;
    out.clear();
  }
  void to_client() {
    if (over) return;
    if (!in.empty()) {
      const ssize_t size = ::send(plain, in.data(), in.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size > 0) in.erase(0, static_cast<std::size_t>(size));
      if (size < 0 && errno != EAGAIN && errno != EINTR) break_both();
    } else if (server_done && !passed) {
      ::shutdown(plain, SHUT_WR);
      passed = true;
    }
  }
  // More may be had without the kernel saying so.
  bool eager() const { return in.empty() && !server_done && ::SSL_pending(ssl.get()) > 0; }
  short plain_events() const {
    return static_cast<short>((out.empty() && !client_done ? POLLIN : 0) | (!in.empty() ? POLLOUT : 0));
  }
  short sealed_events() const {
    // The end is still to be told: reading may have finished the handshake that it waited for.
    const bool ends = client_done && !told && ::SSL_is_init_finished(ssl.get()) != 0;
    const bool writes = SSL_want_write(ssl.get()) || !out.empty() || ends;
    return static_cast<short>((in.empty() && !server_done ? POLLIN : 0) | (writes ? POLLOUT : 0));
  }
};

bool connect_to(int fd, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kBufferBytes, sizeof kBufferBytes);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  return ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

}  // namespace

struct TlsTunnel::State {
  std::uint16_t server_port = 0, port = 0;
  int listener = -1, stop = -1;
  std::unique_ptr<::SSL_CTX, SslFree> context{::SSL_CTX_new(::TLS_client_method())};
  std::vector<std::unique_ptr<Passage>> passages;
  std::thread thread;

  void take_connections() {
    for (;;) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) return;
      auto passage = std::make_unique<Passage>();
      passage->plain = fd;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
      passage->sealed = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (!connect_to(passage->sealed, server_port)) continue;
      passage->ssl.reset(::SSL_new(context.get()));
      ::SSL_set_fd(passage->ssl.get(), passage->sealed);
      ::SSL_set_connect_state(passage->ssl.get());
      passage->advance();  // says hello
      passages.push_back(std::move(passage));
    }
  }

  void run() {
    std::vector<pollfd> polls;
    for (;;) {
      polls.assign({{stop, POLLIN, 0}, {listener, POLLIN, 0}});
      bool eager = false;
      for (const auto& passage : passages) {
        polls.push_back({passage->plain, passage->plain_events(), 0});
        const short events = passage->sealed_events();
        polls.push_back({events != 0 ? passage->sealed : -1, events, 0});
        eager |= passage->eager();
      }
      ::poll(polls.data(), polls.size(), eager ? 0 : -1);
      if (polls[0].revents != 0) return;
      for (std::size_t i = 0; i < passages.size(); ++i) {
        const bool hung_up = (polls[2 + 2 * i].revents & (POLLERR | POLLHUP)) != 0 && passages[i]->passed;
        if (polls[2 + 2 * i].revents != 0 || polls[3 + 2 * i].revents != 0 || passages[i]->eager())
          passages[i]->advance();
        if ((polls[2 + 2 * i].revents & POLLERR) != 0 || hung_up) passages[i]->break_both();
      }
      std::erase_if(passages, [](const auto& passage) { return passage->over; });
      if (polls[1].revents != 0) take_connections();
    }
  }
};

TlsTunnel::TlsTunnel(std::uint16_t server_port) : state_(new State) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets as to files
  const Result<int> listener = open_listener("127.0.0.1", 0);
  EXPECT_TRUE(listener.ok());
  state_->listener = *listener;
  ::fcntl(*listener, F_SETFL, O_NONBLOCK);
  state_->port = local_port(*listener);
  state_->server_port = server_port;
  state_->stop = ::eventfd(0, EFD_CLOEXEC);
  ::SSL_CTX_set_mode(state_->context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
  state_->thread = std::thread([this] { state_->run(); });
}

TlsTunnel::~TlsTunnel() {
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(state_->stop, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  state_->thread.join();
  ::close(state_->stop);
  ::close(state_->listener);
}

std::uint16_t TlsTunnel::port() const {
  return state_->port;
}

}  // namespace terrazzo::net

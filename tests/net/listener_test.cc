#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "server/net/network.h"

namespace terrazzo::net {
namespace {

struct Listener {
  explicit Listener(Result<int> opened) : fd(opened ? *opened : -1) {}
  ~Listener() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

TEST(Listener, PortZeroPicksAFreeOneAndTellsWhich) {
  for (const char* host : {"127.0.0.1", "localhost", "0.0.0.0"}) {
    const Listener listener(open_listener(host, 0));
    ASSERT_GE(listener.fd, 0) << host;
    EXPECT_NE(local_port(listener.fd), 0) << host;
  }
}

TEST(Listener, TakesAddressesOfBothFamilies) {
  const int probe = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool there = probe >= 0 && ::bind(probe, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0;
  if (probe >= 0) ::close(probe);
  if (!there) GTEST_SKIP() << "this machine has no IPv6 loopback";
  const Listener listener(open_listener("::1", 0));
  ASSERT_GE(listener.fd, 0);
  EXPECT_NE(local_port(listener.fd), 0);
}

TEST(Listener, EveryCoreMayListenOnTheSamePort) {
  const Listener first(open_listener("127.0.0.1", 0));
  ASSERT_GE(first.fd, 0);
  const Listener second(open_listener("127.0.0.1", local_port(first.fd)));
  EXPECT_GE(second.fd, 0);
  EXPECT_EQ(local_port(second.fd), local_port(first.fd));
}

// 64 KiB are less than any kernel's least upper limit.
TEST(Listener, WhatTheKernelHoldsForAConnectionIsBounded) {
  constexpr std::size_t kBytes = 64 << 10;
  const Listener listener(open_listener("127.0.0.1", 0, kBytes));
  ASSERT_GE(listener.fd, 0);
  EXPECT_EQ(send_buffer_bytes(listener.fd), kBytes);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(listener.fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Listener client(Result<int>(::socket(AF_INET, SOCK_STREAM, 0)));
  ASSERT_EQ(::connect(client.fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
  const Listener accepted(Result<int>(::accept(listener.fd, nullptr, nullptr)));
  ASSERT_GE(accepted.fd, 0);
  EXPECT_EQ(send_buffer_bytes(accepted.fd), kBytes) << "inherited from the listener";
  // Until the client's receive buffer and this one are full; without a bound they take megabytes.
  const std::string bytes(4096, 'x');
  while (::send(accepted.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  int unsent = 0;
  ASSERT_EQ(::ioctl(accepted.fd, SIOCOUTQ, &unsent), 0);
  EXPECT_GT(unsent, 0);
  EXPECT_LE(unsent, static_cast<int>(kBytes + (64 << 10)));
}

TEST(Listener, ANameIsRefusedWithWhatWouldBeRight) {
  const Result<int> opened = open_listener("no.such.host", 0);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("no.such.host"), std::string::npos);
  EXPECT_NE(opened.error().message.find("127.0.0.1"), std::string::npos);
}

TEST(Listener, APortThatSomebodyHasIsNamedInTheError) {
  const int other = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(other, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other, 1), 0);
  const std::uint16_t port = local_port(other);
  const Result<int> opened = open_listener("127.0.0.1", port);
  ::close(other);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find(std::to_string(port)), std::string::npos) << opened.error().message;
  EXPECT_NE(opened.error().message.find("another program has the port"), std::string::npos) << opened.error().message;
}

}  // namespace
}  // namespace terrazzo::net

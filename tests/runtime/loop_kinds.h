#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "server/runtime/epoll_loop.h"
#include "server/runtime/ring.h"

namespace terrazzo::runtime {

// The kinds of event loop, for suites that each of them must pass.
enum class LoopKind : std::uint8_t { ring, old_ring, epoll };

// nullptr, and why the test is skipped: io_uring is not there. Anything else that goes wrong fails the test.
inline std::unique_ptr<EventLoop> make_loop(LoopKind kind, std::uint16_t receive_buffers = 0) {
  if (kind == LoopKind::epoll) {
    auto loop = EpollLoop::create(receive_buffers);
    EXPECT_TRUE(loop.ok());
    return loop ? *std::move(loop) : nullptr;
  }
  auto ring = Ring::create(256, receive_buffers, kind == LoopKind::old_ring ? RingAge::linux_5_19 : RingAge::newest);
  if (ring) return *std::move(ring);
  EXPECT_FALSE(probe_ring().available) << ring.error().message;
  return nullptr;
}

// Of suites that ctest runs once for each kind: epoll by TERRAZZO_IO=epoll or, over TLS, TERRAZZO_TEST_TLS=epoll (ctest
// hands over one variable), and where there is no other.
inline LoopKind loop_kind_of_this_run() {
  const auto says_epoll = [](const char* variable) {
    const char* name = std::getenv(variable);
    return name != nullptr && std::string_view(name) == "epoll";
  };
  const bool epoll = says_epoll("TERRAZZO_IO") || says_epoll("TERRAZZO_TEST_TLS") || !probe_ring().available;
  return epoll ? LoopKind::epoll : LoopKind::ring;
}

inline const char* name_of(LoopKind kind) {
  if (kind == LoopKind::epoll) return "Epoll";
  return kind == LoopKind::ring ? "Ring" : "OldRing";
}

}  // namespace terrazzo::runtime

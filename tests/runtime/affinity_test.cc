// Where a thread runs, and for how long at a time.
#include "server/runtime/affinity.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <thread>

namespace terrazzo::runtime {
namespace {

// sched_getattr(2), its first 48 bytes.
struct Attributes {
  std::uint32_t size = 48, policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t turn_ns = 0, deadline_ns = 0, period_ns = 0;
};
Attributes attributes() {
  Attributes now;
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0), 0);
  return now;
}

TEST(Affinity, APinnedThreadMayUseOneCpu) {
  std::thread([] {
    const int cpu = allowed_cpus().back();
    ASSERT_TRUE(pin_this_thread(cpu));
    EXPECT_EQ(allowed_cpus(), std::vector{cpu});
    EXPECT_EQ(::sched_getcpu(), cpu);
  }).join();
}

TEST(Affinity, ShortTurnsAreForTheThreadThatAsksAndItsChildrenAndChangeNothingElse) {
  const Attributes before = attributes();
  std::thread([&] {
    ASSERT_EQ(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), before.nice + 3), 0);
    ASSERT_TRUE(ask_for_short_turns());
    const Attributes own = attributes();
    EXPECT_EQ(own.policy, before.policy);
    EXPECT_EQ(own.nice, before.nice + 3);
    // Before Linux 6.12 turns cannot be asked about.
    if (before.turn_ns == 0) return;
    EXPECT_LT(own.turn_ns, before.turn_ns);
    std::uint64_t childs = 0;
    std::thread([&] { childs = attributes().turn_ns; }).join();
    EXPECT_EQ(childs, own.turn_ns);
  }).join();
  EXPECT_EQ(attributes().turn_ns, before.turn_ns);
}

}  // namespace
}  // namespace terrazzo::runtime

// What waits for one connection, and the memory that a core's connections take turns with.
#include "server/net/outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/net/network_host.h"

namespace terrazzo::net {
namespace {

SharedBytes bytes_like(std::string_view text) {
  SharedBytes bytes = SharedBytes::allocate(text.size());
  std::ranges::copy(bytes_of(text), bytes.writable().begin());
  return bytes;
}
std::string text_of(const msghdr& message) {
  std::string text;
  for (std::size_t i = 0; i < message.msg_iovlen; ++i)
    text.append(static_cast<const char*>(message.msg_iov[i].iov_base), message.msg_iov[i].iov_len);
  return text;
}

TEST(Outbox, GivesEverythingInItsOrderHoweverLittleIsTakenAtATime) {
  std::mt19937 random(4);
  FramePool pool;
  Outbox outbox;
  std::string in, out;
  for (int round = 0; round < 3000; ++round) {
    for (std::size_t i = random() % 3; i != 0; --i) {
      const std::string text(1 + random() % 200, static_cast<char>('a' + round % 26));
      outbox.push(pool.hold(bytes_like(text)), pool);
      in += text;
    }
    ASSERT_EQ(outbox.bytes(), in.size() - out.size());
    if (outbox.empty()) continue;
    const std::string offered = text_of(*outbox.begin_send());
    const std::size_t taken = 1 + random() % offered.size();
    out += offered.substr(0, taken);
    outbox.sent(taken, pool);
  }
  EXPECT_EQ(out, in.substr(0, out.size()));
  outbox.clear(pool);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, AnEmptyOneHoldsNoMemoryAndWhatItHadServesTheNext) {
  FramePool pool;
  std::vector<Outbox> outboxes(100);
  for (Outbox& outbox : outboxes) {
    outbox.push(pool.hold(bytes_like("text")), pool);
    outbox.begin_send();
    outbox.sent(4, pool);
  }
  EXPECT_EQ(pool.spare_queues(), 1u) << "one after the other";
  for (Outbox& outbox : outboxes) outbox.push(pool.hold(bytes_like("text")), pool);
  EXPECT_EQ(pool.spare_queues(), 0u) << "all at once";
  for (Outbox& outbox : outboxes) outbox.clear(pool);
  EXPECT_EQ(pool.spare_queues(), 100u);
  pool.trim();
  EXPECT_GE(pool.spare_queues(), 50u) << "they were just in use";
  for (int i = 0; i < 10; ++i) pool.trim();
  EXPECT_EQ(pool.spare_queues(), 0u) << "nobody has taken one for long";
}

}  // namespace
}  // namespace terrazzo::net

// What a lost connection means: whether the client comes back, and when.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

constexpr std::uint16_t kPolicy = 1008;

class LossTest : public SyncMachineTest {
 protected:
  void told(ErrorCode code) { machine.received(proto::ErrorMessage{code, "in words", {}}, 1000); }
  void come_back() {
    welcome(9, 1, true);
    machine.received(proto::WorldInfo{kWorld}, 1000);
  }
};

// A view that cannot be made good while one page of a shard is damaged, or while the server is full, may be some time
// later.
TEST_F(LossTest, WhatMayPassByItselfIsTriedAgain) {  // BP-3
  for (const ErrorCode code :
       {ErrorCode::read_only, ErrorCode::internal, ErrorCode::overloaded, ErrorCode::rate_limited}) {
    go_live();
    told(code);
    machine.disconnected(kPolicy, error_code_name(code));
    EXPECT_EQ(machine.state(), State::waiting) << error_code_name(code);
    EXPECT_EQ(machine.last_error()->code, code);
    EXPECT_EQ(machine.last_error()->message, "in words");
  }
}

TEST_F(LossTest, WhatStaysAsItIsIsNot) {
  for (const ErrorCode code : {ErrorCode::not_found, ErrorCode::unsupported, ErrorCode::forbidden}) {
    go_live();
    told(code);
    machine.disconnected(kPolicy, error_code_name(code));
    EXPECT_EQ(machine.state(), State::failed) << error_code_name(code);
  }
}

TEST_F(LossTest, AnErrorAboutSomethingElseDoesNotDecide) {
  go_live();
  told(ErrorCode::not_found);  // of an unsubscribe, long ago
  machine.disconnected(kPolicy, "overloaded");
  EXPECT_EQ(machine.state(), State::waiting);
  EXPECT_EQ(machine.last_error()->code, ErrorCode::overloaded);
  go_live();
  told(ErrorCode::overloaded);
  machine.disconnected(kPolicy, "not_found");  // the branch was dropped
  EXPECT_EQ(machine.state(), State::failed);
  EXPECT_EQ(machine.last_error()->code, ErrorCode::not_found);
}

TEST_F(LossTest, AReasonOfALaterServerIsAFaultThatMayPass) {  // FO-4
  go_live();
  machine.disconnected(kPolicy, "too_early");
  EXPECT_EQ(machine.state(), State::waiting);
  EXPECT_EQ(machine.last_error()->code, ErrorCode::internal);
}

TEST_F(LossTest, WhatEndsEachConnectionSoonIsTriedMoreAndMoreSeldom) {
  const std::uint32_t first_ceiling = ConnectOptions{}.reconnect.delay_min_ms * 8;
  std::array<std::uint32_t, 20> delays;
  ASSERT_TRUE(machine.open("w").ok());
  for (std::uint32_t& delay : delays) {
    come_back();
    machine.disconnected(kPolicy, "read_only");
    delay = machine.retry_in_ms();
  }
  EXPECT_GT(*std::ranges::max_element(delays), first_ceiling);
  // A connection that lasted proves that the server lets us in, and that we can live with it.
  for (std::uint32_t& delay : delays) {
    come_back();
    EXPECT_FALSE(machine.tick(10'000'000));
    machine.disconnected(0, {});
    delay = machine.retry_in_ms();
  }
  EXPECT_LE(*std::ranges::max_element(delays), first_ceiling);
}

TEST_F(LossTest, WithoutReconnectingEveryLossIsFinal) {
  ConnectOptions options;
  options.reconnect.enabled = false;
  SyncMachine once(options, out);
  once.connecting();
  once.connected(1000);
  once.disconnected(0, "the network went away");
  EXPECT_EQ(once.state(), State::failed);
}

}  // namespace
}  // namespace terrazzo::client

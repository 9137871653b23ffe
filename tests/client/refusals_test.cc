// Subscriptions that the server refuses: SUB-6 of PROTOCOL.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

class RefusalTest : public SyncMachineTest {
 protected:
  SubscriptionId ask(const map::Rect& cells = map::Rect::of_size(0, 0, 64, 32)) {
    return *machine.subscribe(cells, {});
  }
  void refuse(SubscriptionId id, ErrorCode code = ErrorCode::not_found) {
    machine.received(proto::ErrorMessage{code, "in words", id.value}, now);
  }
  const SubscriptionRefused* last_refusal() const {
    for (auto event = out.events.rbegin(); event != out.events.rend(); ++event)
      if (const auto* refused = std::get_if<SubscriptionRefused>(&*event)) return refused;
    return nullptr;
  }
  void advance_ms(std::uint64_t ms) {
    now += ms * 1000;
    machine.received(proto::Pong{}, now);
    EXPECT_FALSE(machine.tick(now));
  }

  std::uint64_t now = 1000;
};

TEST_F(RefusalTest, IsToldAndWaitsForTheProgram) {
  go_live();
  const SubscriptionId view = ask();
  refuse(view);
  ASSERT_NE(last_refusal(), nullptr);
  EXPECT_EQ(last_refusal()->subscription, view);
  EXPECT_EQ(last_refusal()->error.code, ErrorCode::not_found);
  EXPECT_EQ(last_refusal()->error.message, "in words");
  EXPECT_EQ(last_refusal()->retry_in_ms, 0u);
  EXPECT_FALSE(machine.is_ready(view));
  EXPECT_EQ(out.count<ServerError>(), 0u);
  advance_ms(1'000'000);
  EXPECT_EQ(out.subscribed, std::vector<std::uint32_t>{view.value});
  // Another rectangle is asked for at once.
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(0, 0, 32, 32)).ok());
  EXPECT_EQ(out.subscribed, (std::vector<std::uint32_t>{view.value, view.value}));
  subscribed(view, 0);
  EXPECT_TRUE(machine.is_ready(view));
}

TEST_F(RefusalTest, LeavesInForceWhatWas) {
  go_live();
  const SubscriptionId view = subscribe();
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(96, 0, 32, 32)).ok());
  refuse(view, ErrorCode::internal);
  EXPECT_FALSE(machine.is_ready(view));
  applied(1, 77, EditId{1}, 3, 5);
  EXPECT_EQ(confirmed(3), 5u);
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(0, 0, 64, 32)).ok());
  subscribed(view, 1);
  EXPECT_TRUE(machine.is_ready(view));
  machine.unsubscribe(view);
  EXPECT_EQ(out.sent.back(), proto::ClientMessage(proto::Unsubscribe{}).index());
}

TEST_F(RefusalTest, EndsWhatWasGivenUpMeanwhile) {
  go_live();
  // Far more than there may be at a time.
  for (std::uint32_t i = 0; i < machine.limits().subscriptions_max * 2; ++i) {
    const SubscriptionId view = ask();
    machine.unsubscribe(view);
    refuse(view);
    const SubscriptionId other = ask();
    refuse(other);
    machine.unsubscribe(other);
  }
  EXPECT_EQ(out.count<SubscriptionRefused>(), machine.limits().subscriptions_max * 2)
      << "whoever gave a view up wants to hear nothing more of it";
}

TEST_F(RefusalTest, OfWhatTheProgramDoesNotWantAnyMoreIsNoNews) {
  go_live();
  const SubscriptionId view = ask();
  ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(0, 0, 32, 32)).ok());
  EXPECT_EQ(out.subscribed.size(), 1u) << "one request at a time";
  refuse(view, ErrorCode::too_large);
  EXPECT_EQ(last_refusal(), nullptr);
  EXPECT_EQ(out.subscribed.size(), 2u);
  subscribed(view, 0);
  EXPECT_TRUE(machine.is_ready(view));
}

TEST_F(RefusalTest, HoldsNoEdits) {
  go_live();
  const SubscriptionId view = ask();
  const EditId durable = paint(3, 7), visible = paint(4, 7, map::AckMode::applied);
  ack(durable, {{{0, 0}, Lsn{1}}}, true);
  ack(visible, {{{0, 0}, Lsn{2}}}, false);
  EXPECT_EQ(machine.held().table().size(), 2u) << "the view will tell";
  refuse(view, ErrorCode::read_only);
  EXPECT_TRUE(machine.held().table().empty()) << "no stream will ever tell";
}

TEST_F(RefusalTest, HoldsNoChunks) {
  ConnectOptions options;
  options.cache_bytes_max = 1;
  SyncMachine small(options, out);
  ASSERT_TRUE(small.open("w").ok());
  small.connecting();
  small.connected(1000);
  proto::Welcome welcome;
  welcome.session = SessionId{9};
  small.received(welcome, 1000);
  small.received(proto::WorldInfo{kWorld}, 1000);
  const SubscriptionId view = *small.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
  EXPECT_EQ(small.replica().cache().size(), 2u);
  small.received(proto::ErrorMessage{ErrorCode::internal, "in words", view.value}, 1000);
  EXPECT_EQ(small.replica().cache().size(), 0u);
}

TEST_F(RefusalTest, PartsOfTheAnswerThatCameFirstAreAsTheyWereLastSeen) {
  go_live();
  const SubscriptionId view = ask();
  machine.received(
      proto::Chunk{
          .layer = kLayer, .chunk = {0, 0}, .revision = Lsn{3}, .fill = map::Cell{6}, .coded = {}, .cells = {}},
      now);
  refuse(view, ErrorCode::internal);
  applied(4, 77, EditId{1}, 3, 5);
  EXPECT_EQ(confirmed(3), 6u);
  lose();
  welcome(9, 1, true);
  machine.received(proto::WorldInfo{kWorld}, now);
  ASSERT_EQ(out.known.size(), 1u) << "a new connection is asked anew";
  EXPECT_EQ(out.known[0].revision, Lsn{3});
}

TEST_F(RefusalTest, ThatMayPassIsTriedAgainMoreAndMoreSeldom) {
  for (const ErrorCode code : {ErrorCode::read_only, ErrorCode::internal, ErrorCode::overloaded}) {
    go_live();
    const SubscriptionId view = ask();
    std::vector<std::uint32_t> delays;
    for (int i = 0; i < 20; ++i) {
      const std::size_t asked = out.subscribed.size();
      refuse(view, code);
      delays.push_back(last_refusal()->retry_in_ms);
      ASSERT_GE(delays.back(), 1000u);
      ASSERT_LE(delays.back(), 60'000u);
      advance_ms(delays.back() - 1);
      EXPECT_EQ(out.subscribed.size(), asked);
      advance_ms(1);
      ASSERT_EQ(out.subscribed.size(), asked + 1);
    }
    EXPECT_GT(*std::ranges::max_element(delays), 8000u);
    subscribed(view, 0);
    EXPECT_TRUE(machine.is_ready(view));
    ASSERT_TRUE(machine.move_subscription(view, map::Rect::of_size(0, 0, 32, 32)).ok());
    refuse(view, code);
    EXPECT_LE(last_refusal()->retry_in_ms, 8000u) << "it had worked since";
    machine.unsubscribe(view);
    machine.closed();
  }
}

TEST_F(RefusalTest, DoesNotDecideAboutTheConnection) {
  go_live();
  refuse(ask(), ErrorCode::internal);
  machine.disconnected(1008, "internal");
  EXPECT_NE(machine.last_error()->message, "in words");
}

TEST_F(RefusalTest, OfAnUnknownSubscriptionIsAnErrorOfTheServer) {
  go_live();
  refuse(SubscriptionId{77});
  EXPECT_EQ(out.count<SubscriptionRefused>(), 0u);
  EXPECT_EQ(out.count<ServerError>(), 1u);
}

}  // namespace
}  // namespace terrazzo::client

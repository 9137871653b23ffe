// What a program does inside its callback: everything but destroying the client and waiting (client.h).
#include <gtest/gtest.h>

#include <vector>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

class CallbackTest : public SyncMachineTest {
 protected:
  void somebody_is_here() { machine.received(proto::PresenceOf{SessionId{4}, "Bob", 1, {}}, 1000); }
  // Runs once, at the first event of this type.
  template <class T, class Do>
  void on_first(Do&& act) {
    out.callback = [this, act, done = false](const Event& event) mutable {
      if (done || !std::holds_alternative<T>(event)) return;
      done = true;
      act();
    };
  }
  void come_back() {
    welcome(9, 1, true);
    machine.received(proto::WorldInfo{kWorld}, 1000);
  }
};

TEST_F(CallbackTest, WhatIsMadeWhileTheConnectionIsLostGoesOutOnTheNext) {
  go_live();
  somebody_is_here();
  EditId made, kept = paint(1, 7);
  SubscriptionId asked;
  on_first<PeerLeft>([&] {
    EXPECT_NE(machine.state(), State::live);
    made = paint(3, 7);
    asked = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
  });
  out.edits.clear();
  out.subscribed.clear();
  lose();
  EXPECT_EQ(out.count<PeerLeft>(), 1u);
  EXPECT_TRUE(out.edits.empty()) << "there is nobody to send it to";
  EXPECT_TRUE(out.subscribed.empty());
  come_back();
  EXPECT_EQ(out.edits, (std::vector<std::uint64_t>{kept.value, made.value}));
  EXPECT_EQ(out.subscribed, std::vector<std::uint32_t>{asked.value});
}

TEST_F(CallbackTest, AClientThatIsClosedWhileItLosesItsConnectionStaysClosed) {
  go_live();
  somebody_is_here();
  on_first<PeerLeft>([&] { machine.closed(); });
  machine.disconnected(0, {});
  EXPECT_EQ(machine.state(), State::closed);
  EXPECT_EQ(std::get<StateChanged>(out.events.back()).state, State::closed);
}

TEST_F(CallbackTest, WhatIsMadeWhileItIsClosedGoesOutWhenItConnectsAgain) {
  go_live();
  somebody_is_here();
  EditId made;
  on_first<PeerLeft>([&] { made = paint(3, 7); });
  machine.closed();
  EXPECT_TRUE(out.edits.empty());
  come_back();
  EXPECT_EQ(out.edits, std::vector<std::uint64_t>{made.value});
}

TEST_F(CallbackTest, NothingThatAClosedConnectionStillHasToSayCounts) {
  go_live();
  subscribe();
  machine.closed();
  const std::size_t told = out.events.size();
  applied(1, 77, EditId{1}, 3, 5);
  somebody_is_here();
  EXPECT_EQ(out.events.size(), told);
  EXPECT_TRUE(machine.peers().empty());
}

// Without a view nobody will say that these edits are durable, so the client lets go of them.
TEST_F(CallbackTest, TheLastViewMayGoWhenAnEditIsApplied) {
  go_live();
  const SubscriptionId view = subscribe();
  const EditId own = paint(3, 7, map::AckMode::applied);
  on_first<EditApplied>([&] { machine.unsubscribe(view); });
  ack(own, {{{0, 0}, Lsn{1}}}, false);
  EXPECT_TRUE(machine.held().table().empty());
  EXPECT_TRUE(machine.held().is_applied(own));
}

TEST_F(CallbackTest, TheLastViewMayGoWhenAnEditIsDurable) {
  go_live();
  const SubscriptionId view = subscribe();
  std::vector<EditId> own;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    own.push_back(paint(static_cast<std::int32_t>(i), 7, map::AckMode::applied));
    ack(own.back(), {{{0, 0}, Lsn{i}}}, false);
  }
  on_first<EditDurable>([&] { machine.unsubscribe(view); });
  machine.received(proto::Durable{{0, 0}, Lsn{3}}, 1000);
  EXPECT_TRUE(machine.held().table().empty());
  for (const EditId edit : own) EXPECT_TRUE(machine.held().is_durable(edit));
}

TEST_F(CallbackTest, TheLastViewMayGoWhenEditsOfALostSessionAreTakenBack) {
  go_live();
  const SubscriptionId view = subscribe();
  const EditId unanswered = paint(1, 7), other = paint(2, 7);
  const EditId answered = paint(3, 7, map::AckMode::applied);
  ack(answered, {{{0, 0}, Lsn{1}}}, false);
  lose();
  on_first<EditRejected>([&] { machine.unsubscribe(view); });
  welcome(10, 2);
  EXPECT_TRUE(machine.held().rejection(unanswered) && machine.held().rejection(other));
  EXPECT_TRUE(machine.held().table().empty());
}

TEST_F(CallbackTest, EventsComeInTheirOrderWhateverTheCallbackDoes) {
  go_live();
  subscribe();
  std::vector<std::uint64_t> applied_edits;
  EditId second;
  out.callback = [&](const Event& event) {
    if (const auto* changed = std::get_if<CellsChanged>(&event); changed != nullptr && second.value == 0)
      second = paint(4, 7);  // its own event comes after those that are on their way
    if (const auto* one = std::get_if<EditApplied>(&event)) applied_edits.push_back(one->edit.value);
  };
  const EditId first = paint(3, 7);
  applied(1, 9, first, 3, 7);
  applied(2, 9, second, 4, 7);
  EXPECT_EQ(applied_edits, (std::vector<std::uint64_t>{first.value, second.value}));
}

}  // namespace
}  // namespace terrazzo::client

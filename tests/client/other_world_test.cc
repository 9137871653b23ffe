// Another world under the same name (a branch was dropped and made again), and what a server cannot have meant.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sync_machine_fixture.h"

namespace terrazzo::client {
namespace {

class OtherWorldTest : public SyncMachineTest {
 protected:
  static std::string world(int id, const char* layers, const char* bounds) {
    return std::string(R"({"id":")") + std::to_string(id) + R"(","name":"w","bounds":)" + bounds + R"(,"layers":[)" +
           layers + R"(],"tilesets":[{"first_tile":1,"tile_count":50}]})";
  }
  void open(const std::string& json) {
    ASSERT_TRUE(machine.open("w").ok());
    welcome(9, 1, machine.session().value != 0);
    machine.received(proto::WorldInfo{json}, 1000);
    ASSERT_EQ(machine.state(), State::live);
  }
  static constexpr const char* kOne = R"({"id":1,"kind":"tile","name":"g"})";
  static constexpr const char* kTwo = R"({"id":1,"kind":"tile","name":"g"},{"id":2,"kind":"tile","name":"h"})";
};

TEST_F(OtherWorldTest, AViewSeesItWhole) {
  open(world(5, kOne, "[0,0,32,32]"));
  const SubscriptionId view = *machine.subscribe(map::Rect::of_size(0, 0, 96, 32), {});
  subscribed(view, 0);
  EXPECT_EQ(shown(40), 999u) << "outside of the world";
  lose();
  open(world(6, kOne, "[0,0,96,32]"));
  machine.received(
      proto::Chunk{
          .layer = kLayer, .chunk = {1, 0}, .revision = Lsn{1}, .fill = map::Cell{6}, .coded = {}, .cells = {}},
      1000);
  subscribed(view, 1);
  EXPECT_EQ(shown(40), 6u);
  EXPECT_EQ(shown(70), 0u);
  applied(2, 77, EditId{1}, 70, 5);
  EXPECT_EQ(shown(70), 5u);
}

TEST_F(OtherWorldTest, ThatBecomesLargerIsSeenWhole) {
  open(world(5, kOne, "[0,0,32,32]"));
  const SubscriptionId view = *machine.subscribe(map::Rect::of_size(0, 0, 96, 32), {});
  subscribed(view, 0);
  EXPECT_TRUE(machine.is_ready(view));
  machine.received(proto::WorldInfo{world(5, kOne, "[0,0,64,32]")}, 1000);
  EXPECT_FALSE(machine.is_ready(view));
  EXPECT_EQ(out.subscribed.size(), 2u);
  subscribed(view, 0);
  EXPECT_EQ(shown(40), 0u);
}

TEST_F(OtherWorldTest, WithoutTheLayersOfAViewRefusesIt) {
  open(world(5, kTwo, "[0,0,64,32]"));
  const std::array<map::LayerId, 1> second{2}, first{1};
  const SubscriptionId gone = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), second);
  const SubscriptionId there = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), first);
  const SubscriptionId all = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
  lose();
  out.subscribed.clear();
  open(world(6, kOne, "[0,0,64,32]"));
  EXPECT_EQ(out.subscribed, (std::vector<std::uint32_t>{there.value, all.value}));
  ASSERT_EQ(out.count<SubscriptionRefused>(), 1u);
  for (const Event& event : out.events) {
    if (const auto* refused = std::get_if<SubscriptionRefused>(&event)) {
      EXPECT_EQ(refused->subscription, gone);
      EXPECT_EQ(refused->error.code, ErrorCode::not_found);
    }
  }
}

TEST_F(OtherWorldTest, IsThereWhenTheEditsForTheOldOneAreTakenBack) {
  open(world(5, kOne, "[0,0,64,32]"));
  const EditId own = paint(3, 7);
  lose();
  WorldId seen;
  bool told_before = false;
  out.callback = [&](const Event& event) {
    if (std::holds_alternative<WorldChanged>(event)) told_before = true;
    if (!std::holds_alternative<EditRejected>(event)) return;
    seen = machine.world()->id;
    EXPECT_TRUE(told_before);
  };
  open(world(6, kOne, "[0,0,64,32]"));
  EXPECT_TRUE(machine.held().rejection(own));
  EXPECT_EQ(seen, WorldId{6});
}

// The answer that follows would make it known, empty, at revision 0: a replica that differs and believes in itself.
TEST_F(OtherWorldTest, AChunkThatCannotBeDecodedEndsTheConnection) {
  go_live();
  const SubscriptionId view = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
  const std::array<std::byte, 3> nonsense{};
  machine.received(
      proto::Chunk{.layer = kLayer, .chunk = {0, 0}, .revision = Lsn{3}, .fill = {}, .coded = nonsense, .cells = {}},
      1000);
  EXPECT_EQ(out.drops, 1);
  EXPECT_EQ(out.count<ServerError>(), 1u);
  subscribed(view, 3);
  EXPECT_FALSE(machine.is_ready(view));
  EXPECT_EQ(shown(0), 999u);
  machine.disconnected(0, "");
  EXPECT_EQ(machine.state(), State::waiting);
  EXPECT_EQ(machine.last_error()->code, ErrorCode::bad_message);
  welcome(9, 1, true);
  machine.received(proto::WorldInfo{kWorld}, 1000);
  EXPECT_TRUE(out.known.empty());
  subscribed(view, 0);
  EXPECT_TRUE(machine.is_ready(view));
}

TEST_F(OtherWorldTest, AWorldThatCannotBeUnderstoodEndsTheConnection) {
  ASSERT_TRUE(machine.open("w").ok());
  welcome();
  machine.received(proto::WorldInfo{"{}"}, 1000);
  EXPECT_EQ(out.drops, 1);
}

}  // namespace
}  // namespace terrazzo::client

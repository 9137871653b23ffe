#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "client-lib/src/sync/sync_machine.h"

namespace terrazzo::client {

inline constexpr const char* kWorld =
    R"({"id":"5","name":"w","layers":[{"id":1,"kind":"tile","name":"g"}],"tilesets":[{"first_tile":1,"tile_count":50}]})";
inline constexpr map::LayerId kLayer = 1;

class Recorder final : public SyncOutput {
 public:
  void send(const proto::ClientMessage& message) override {
    sent.push_back(message.index());
    if (const auto* hello = std::get_if<proto::Hello>(&message)) {
      resumes = hello->resume ? std::string(hello->resume->session) : "";
      hellos.emplace_back(hello->token);
    }
    if (const auto* token = std::get_if<proto::Token>(&message)) tokens.emplace_back(token->token);
    if (const auto* open = std::get_if<proto::Open>(&message)) opened.emplace_back(open->world);
    if (const auto* presence = std::get_if<proto::Presence>(&message)) cursors.push_back(presence->cursor->x);
    if (const auto* chat = std::get_if<proto::Chat>(&message)) said.emplace_back(chat->text);
    if (const auto* follow = std::get_if<proto::Follow>(&message)) followed.push_back(follow->session.value);
    if (const auto* claim = std::get_if<proto::Claim>(&message)) claimed.push_back(claim->claim.value);
    if (const auto* release = std::get_if<proto::Release>(&message)) released.push_back(release->claim.value);
    if (const auto* edit = std::get_if<map::Edit>(&message)) edits.push_back(edit->id.value);
    if (const auto* subscribe = std::get_if<proto::Subscribe>(&message)) {
      subscribed.push_back(subscribe->sub);
      known.assign(subscribe->known.begin(), subscribe->known.end());
    }
  }
  bool writable() const override { return is_writable; }
  void drop() override { ++drops; }
  void emit(Event event) override {
    events.push_back(event);
    if (callback) callback(event);
  }

  template <class T>
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(events, [](const Event& e) { return std::holds_alternative<T>(e); }));
  }
  std::vector<std::size_t> sent;
  std::vector<std::uint64_t> edits, followed;
  std::vector<std::uint32_t> subscribed;  // in the order of asking
  std::vector<std::uint32_t> claimed, released;
  std::vector<std::int32_t> cursors;
  std::vector<proto::KnownChunk> known;
  std::vector<std::string> said;
  std::string resumes;
  std::vector<std::string> hellos, tokens, opened;  // the tokens of hellos; newer ones; worlds
  std::vector<Event> events;
  std::function<void(const Event&)> callback;  // the program's
  bool is_writable = true;
  int drops = 0;
};

class SyncMachineTest : public testing::Test {
 protected:
  void welcome(std::uint64_t session = 9, std::uint64_t incarnation = 1, bool resumed = false) {
    machine.connecting();
    machine.connected(1000);
    proto::Welcome message;
    message.session = SessionId{session};
    message.resume = "token";
    message.incarnation = Incarnation{incarnation};
    message.limits = {1 << 20, 65536, 256, 512, 16384, 64, 262144};
    message.resumed = resumed;
    machine.received(message, 1000);
  }
  void go_live() {
    ASSERT_TRUE(machine.open("w").ok());
    welcome();
    machine.received(proto::WorldInfo{kWorld}, 1000);
    ASSERT_EQ(machine.state(), State::live);
  }
  void lose() {
    machine.disconnected(0, {});
    EXPECT_EQ(machine.state(), State::waiting);
  }
  SubscriptionId subscribe(std::uint64_t lsn = 0) {
    const SubscriptionId id = *machine.subscribe(map::Rect::of_size(0, 0, 64, 32), {});
    subscribed(id, lsn);
    return id;
  }
  void subscribed(SubscriptionId id, std::uint64_t lsn) {
    const proto::ShardMark mark{{0, 0}, Lsn{lsn}};
    machine.received(proto::Subscribed{id.value, {&mark, 1}}, 1000);
  }
  EditId paint(std::int32_t x, std::uint32_t tile, map::AckMode ack = map::AckMode::durable) {
    return *machine.edit(EditDraft().set(kLayer, {x, 0}, map::Cell{tile}), ack);
  }
  void applied(std::uint64_t lsn, std::uint64_t author, EditId edit, std::int32_t x, std::uint32_t tile) {
    const map::Cell cell{tile};
    const map::Op op{map::OpKind::set, kLayer, map::Rect::of_size(x, 0, 1, 1), {}, {}, {&cell, 1}};
    machine.received(proto::Applied{{0, 0}, Lsn{lsn}, SessionId{author}, edit, {&op, 1}}, 1000);
  }
  void ack(EditId edit, std::vector<proto::ShardMark> marks, bool durable) {
    machine.received(proto::Ack{edit, marks, durable}, 1000);
  }
  std::uint32_t shown(std::int32_t x) {
    return machine.replica().read(kLayer, {x, 0}, true).value_or(map::Cell{999}).bits;
  }
  std::uint32_t confirmed(std::int32_t x) {
    return machine.replica().read(kLayer, {x, 0}, false).value_or(map::Cell{999}).bits;
  }

  Recorder out;
  SyncMachine machine{ConnectOptions{}, out};
};

}  // namespace terrazzo::client

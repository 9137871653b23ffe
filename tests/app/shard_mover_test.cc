#include "server/app/shard_mover.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace terrazzo::app {
namespace {

using shard::CoreId;
using shard::ShardKey;

const ShardKey kShard{WorldId{1}, {3, -4}};

// Cores with rings between every two of them, delivered in any order that rings allow. Each core sends numbered
// messages to whom it takes for the shard's owner; the owner carries them out, logs them, and tells every core, as
// edits are published. The log of a core becomes durable in its own time.
class Cores {
 public:
  explicit Cores(int count, std::uint32_t seed) : random_(seed), cores_(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i)
      cores_[static_cast<std::size_t>(i)] = std::make_unique<Core>(*this, static_cast<CoreId>(i), count);
    Core& owner = at(cores_[0]->owners.owner(kShard));
    owner.slot = std::make_unique<ShardSlot>();
    coordinator_ = static_cast<CoreId>(random_() % cores_.size());
  }

  struct Message {
    enum class Kind : std::uint8_t { edit, publication, note } kind = Kind::edit;
    CoreId from = 0;
    std::uint64_t number = 0;  // edit: of its sender; publication: LSN
    std::unique_ptr<MoveNote> note;
  };

  struct Core final : ShardMoverOutput {
    Core(Cores& all, CoreId number, int count) : cores(all), self(number), owners(count), mover(number, count, *this) {
      heard.resize(static_cast<std::size_t>(count));
    }
    // ---- what the service does around the mover ----
    void take_edit(Message message) {
      if (slot && !waiting.empty()) return waiting.push_back(std::move(message));  // in line
      if (expected) return waiting.push_back(std::move(message));
      ASSERT_TRUE(slot) << "core " << int{self} << " got a message for a shard it does not have";
      carry_out(message);
    }
    void carry_out(const Message& message) {
      ASSERT_EQ(message.number, ++cores.carried_out_[message.from]) << "of core " << int{message.from};
      const std::uint64_t lsn = ++cores.lsn_;
      log.push_back(lsn);
      for (std::size_t to = 0; to < cores.cores_.size(); ++to)
        cores.send(self, static_cast<CoreId>(to), {Message::Kind::publication, self, lsn, nullptr});
    }
    void sync() {
      for (const std::uint64_t lsn : log) {
        // What recovery would stumble over: a record of the shard without the one before it.
        ASSERT_EQ(lsn, cores.durable_ + 1) << "core " << int{self} << " made a record durable before its predecessor";
        cores.durable_ = lsn;
      }
      log.clear();
    }

    // ---- ShardMoverOutput ----
    void post(CoreId to, MoveNote note) override {
      cores.send(self, to, {Message::Kind::note, self, 0, std::make_unique<MoveNote>(std::move(note))});
    }
    void route(const ShardKey& shard, CoreId to) override { owners.set(shard, to); }
    bool settle(const ShardKey&, std::uint64_t) override { return !busy && cores.random_() % 2 == 0; }
    void stay(const ShardKey&) override { ++stayed; }
    bool quiet(const ShardKey&) override { return log.empty() && cores.random_() % 2 == 0; }
    std::unique_ptr<ShardSlot> give_up(const ShardKey&) override { return std::move(slot); }
    Status expect(const ShardKey&) override {
      if (refuses) return Error{ErrorCode::read_only, "my log failed"};
      expected = true;
      return {};
    }
    void take(const ShardKey&, std::unique_ptr<ShardSlot> given) override {
      slot = std::move(given);
      expected = false;
      for (auto& message : std::exchange(waiting, {})) carry_out(message);
    }
    void moved(const MoveNote& done) override {
      ++cores.finished_;
      cores.problem_ = done.error;
      EXPECT_EQ(self, cores.coordinator_);
    }

    Cores& cores;
    const CoreId self;
    shard::OwnerTable owners;
    ShardMover mover;
    std::unique_ptr<ShardSlot> slot;
    bool expected = false, refuses = false, busy = false;
    std::vector<Message> waiting;
    std::vector<std::uint64_t> log;  // LSNs that are not durable yet
    std::uint64_t sent = 0;
    std::uint64_t newest_seen = 0;
    std::vector<std::uint64_t> heard;
    int stayed = 0;
  };

  Core& at(CoreId core) { return *cores_[core]; }
  CoreId owner() {
    for (const auto& core : cores_)
      if (core->slot) return core->self;
    ADD_FAILURE() << "nobody has the shard";
    return 0;
  }
  void send(CoreId from, CoreId to, Message message) {
    ++in_flight_;
    rings_[{from, to}].push_back(std::move(message));
  }
  void send_edit(Core& core) {
    send(core.self, core.owners.owner(kShard), {Message::Kind::edit, core.self, ++core.sent, nullptr});
  }
  void begin_move(CoreId to) {
    MoveNote start;
    start.shard = kShard;
    start.from = at(coordinator_).owners.owner(kShard);
    start.to = to;
    start.asked_by = coordinator_;
    ++begun_;
    at(coordinator_).post(start.from, std::move(start));
  }
  // Something happens: a message arrives, a core takes its turn, a log becomes durable, somebody edits.
  void step(bool edits) {
    Core& core = *cores_[random_() % cores_.size()];
    switch (random_() % 5) {
      case 0:
        if (edits && in_flight_ < 30) send_edit(core);
        return;
      case 1:
        now_ += 1000;
        return core.mover.advance(now_);
      case 2:
        return core.sync();
      default:
        deliver_one();
    }
  }
  bool done() const { return finished_ == begun_; }
  bool empty() const { return in_flight_ == 0; }
  void deliver_one() {
    std::vector<std::deque<Message>*> full;
    for (auto& [ends, ring] : rings_)
      if (!ring.empty()) full.push_back(&ring);
    if (full.empty()) return;
    std::deque<Message>& ring = *full[random_() % full.size()];
    CoreId to = 0;
    for (auto& [ends, one] : rings_)
      if (&one == &ring) to = ends.second;
    Message message = std::move(ring.front());
    ring.pop_front();
    --in_flight_;
    Core& core = at(to);
    if (message.kind == Message::Kind::edit) return core.take_edit(std::move(message));
    if (message.kind == Message::Kind::note) return core.mover.take(std::move(*message.note), now_);
    ASSERT_EQ(message.number, core.newest_seen + 1) << "core " << int{to} << " missed an edit or got one too early";
    core.newest_seen = message.number;
  }
  // No edits any more: everything arrives.
  void run_dry() {
    for (int i = 0; i < 200'000 && !(done() && empty()) && !testing::Test::HasFatalFailure(); ++i) step(false);
    for (const auto& core : cores_) core->sync();
    ASSERT_TRUE(done()) << "a move did not end";
    std::uint64_t sent = 0;
    for (const auto& core : cores_) {
      ASSERT_EQ(carried_out_[core->self], core->sent) << "core " << int{core->self} << " lost messages";
      ASSERT_EQ(core->newest_seen, lsn_);
      ASSERT_EQ(core->owners.owner(kShard), owner());
      ASSERT_TRUE(core->waiting.empty());
      ASSERT_FALSE(core->mover.busy());
      sent += core->sent;
    }
    ASSERT_EQ(lsn_, sent);
    ASSERT_EQ(durable_, lsn_);
  }

  std::mt19937 random_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::map<std::pair<CoreId, CoreId>, std::deque<Message>> rings_;
  CoreId coordinator_ = 0;
  std::map<CoreId, std::uint64_t> carried_out_;
  std::uint64_t lsn_ = 0, durable_ = 0, now_ = 1;
  int in_flight_ = 0, begun_ = 0, finished_ = 0;
  std::optional<Error> problem_;
};

class MoverOrders : public testing::TestWithParam<int> {};

TEST_P(MoverOrders, NothingIsLostTwiceOrOutOfOrderWhateverTheRingsDo) {
  for (std::uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Cores cores(GetParam(), seed);
    for (int moves = 0; moves < 6 && !HasFatalFailure();) {
      if (cores.done()) {
        const auto to = static_cast<CoreId>(cores.random_() % static_cast<unsigned>(GetParam()));
        if (to != cores.owner()) cores.begin_move(to), ++moves;
      }
      cores.step(true);
    }
    cores.run_dry();
    EXPECT_FALSE(cores.problem_);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Cores, MoverOrders, testing::Values(2, 3, 5));

TEST(ShardMover, StaysWhereItIsWhenTheNewOwnerCannotTakeIt) {
  Cores cores(3, 1);
  const CoreId before = cores.owner(), to = static_cast<CoreId>((before + 1) % 3);
  cores.at(to).refuses = true;
  cores.begin_move(to);
  for (int i = 0; i < 1000; ++i) cores.step(true);
  cores.run_dry();
  ASSERT_TRUE(cores.problem_);
  EXPECT_EQ(cores.problem_->message, "my log failed");
  EXPECT_EQ(cores.owner(), before);
  EXPECT_EQ(cores.at(before).stayed, 1);
  cores.at(to).refuses = false;
  cores.begin_move(to);
  cores.run_dry();
  EXPECT_FALSE(cores.problem_);
  EXPECT_EQ(cores.owner(), to);
  EXPECT_EQ(cores.at(to).mover.taken(), 1u);
  EXPECT_EQ(cores.at(before).mover.given(), 1u);
}

TEST(ShardMover, GivesUpWhenWorkInTheBackgroundTakesTooLong) {
  Cores cores(2, 1);
  const CoreId before = cores.owner(), to = static_cast<CoreId>(1 - before);
  cores.at(before).busy = true;
  cores.begin_move(to);
  while (!cores.empty()) cores.deliver_one();
  cores.at(before).mover.advance(cores.now_ + ShardMover::kSettleNs - 1);
  EXPECT_TRUE(cores.at(before).mover.busy());
  cores.at(before).mover.advance(cores.now_ + ShardMover::kSettleNs);
  EXPECT_FALSE(cores.at(before).mover.busy());
  cores.run_dry();
  ASSERT_TRUE(cores.problem_);
  EXPECT_EQ(cores.problem_->code, ErrorCode::overloaded);
  EXPECT_EQ(cores.owner(), before);
}

}  // namespace
}  // namespace terrazzo::app

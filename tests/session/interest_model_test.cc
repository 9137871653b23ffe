// Many connections, moving views and slow owners, drawn at random: what owners hold to be interesting, and who is told
// of an edit, is what a plain list of subscriptions says.
#include <deque>
#include <random>
#include <set>
#include <tuple>

#include "home_test.h"

namespace terrazzo::session {
namespace {

using ChunkSet = std::set<std::pair<std::int32_t, std::int32_t>>;

ChunkSet chunk_set(const map::Rect& chunks) {
  ChunkSet set;
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
      set.insert({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
  return set;
}

// The protocol's words for one subscription: what is in force, and what will be.
struct ModelSubscription {
  ChunkSet in_force;
  struct Next {
    std::map<std::uint32_t, ChunkSet> waiting;  // by ticket
    ChunkSet all, told;
  };
  std::optional<Next> next;
};

class InterestModel : public HomeTest {
 protected:
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  // Around the corner of four shards.
  map::Rect view() { return map::Rect::of_size(pick(-5, 3), pick(-5, 3), pick(1, 5), pick(1, 5)); }

  // Carries the home's effects to the owners: their interest changes in the order of the messages.
  void deliver() {
    for (auto& request : std::exchange(out.requests, {})) {
      for (const auto& chunk : chunk_set(request->chunks)) interest_.insert(chunk);
      owners_.push_back(std::move(request));
    }
    for (const auto& off : std::exchange(out.offs, {}))
      for (const map::ChunkPos p : off->chunks) EXPECT_EQ(interest_.erase({p.x, p.y}), 1u) << "asked off twice";
  }

  void subscribe_at_random(Connection connection) {
    const auto sub = static_cast<std::uint32_t>(pick(1, 3));
    const map::Rect rect = view();
    subscribe(connection, sub, chunks(rect.x0, rect.y0, rect.width(), rect.height()));
    ModelSubscription& model = model_[connection.slot][sub];
    model.next.emplace();
    model.next->all = chunk_set(rect);
    for (const auto& request : out.requests) model.next->waiting[request->ticket] = chunk_set(request->chunks);
  }
  void unsubscribe_at_random(Connection connection) {
    auto& subscriptions = model_[connection.slot];
    if (subscriptions.empty()) return;
    const auto at = std::next(subscriptions.begin(), pick(0, std::ssize(subscriptions) - 1));
    say(connection, R"({"type":"unsubscribe","sub":)" + std::to_string(at->first) + "}");
    subscriptions.erase(at);
  }
  // Owners answer in any order between shards; here in any order at all.
  void answer_at_random() {
    if (owners_.empty()) return;
    const auto at = owners_.begin() + pick(0, std::ssize(owners_) - 1);
    const std::unique_ptr<shard::SubscribeRequest> request = std::move(*at);
    owners_.erase(at);
    answer(*request, 1);
    const auto found = model_[request->origin.connection_slot].find(request->sub);
    if (found == model_[request->origin.connection_slot].end() || !found->second.next) return;
    ModelSubscription::Next& next = *found->second.next;
    const auto part = next.waiting.find(request->ticket);
    if (part == next.waiting.end()) return;
    next.told.merge(part->second);
    next.waiting.erase(part);
    if (!next.waiting.empty()) return;
    found->second.in_force = std::move(next.all);
    found->second.next.reset();
  }
  void reconnect(Connection& connection) {
    home.disconnected(connection);
    model_[connection.slot].clear();
    ++connection.generation;
    home.connected(connection, proto::Form::json);
    say(connection, R"([{"type":"hello","token":"ada"},{"type":"open","world":"island"}])");
  }

  void check(const std::vector<Connection>& connections) {
    ChunkSet wanted;
    for (const auto& [slot, subscriptions] : model_)
      for (const auto& [sub, s] : subscriptions) {
        wanted.insert(s.in_force.begin(), s.in_force.end());
        if (s.next) wanted.insert(s.next->all.begin(), s.next->all.end());
      }
    ASSERT_EQ(interest_, wanted);
    ASSERT_EQ(home.watched_chunks(), wanted.size());

    for (const Connection c : connections) told(c);
    const map::Rect touched = view();
    const ChunkSet touched_set = chunk_set(touched);
    publish({0, 0}, 1, {touched}, "edit");
    for (const Connection c : connections) {
      const auto sees = [&](const ChunkSet& chunks) {
        return std::any_of(touched_set.begin(), touched_set.end(), [&](const auto& p) { return chunks.contains(p); });
      };
      bool expected = false;
      for (const auto& [sub, s] : model_[c.slot]) expected |= sees(s.in_force) || (s.next && sees(s.next->told));
      ASSERT_EQ(types(c), expected ? Words{"edit"} : Words{}) << "connection " << c.slot;
    }
  }

  std::mt19937_64 random_;
  ChunkSet interest_;  // what the owners hold to be watched from here
  std::vector<std::unique_ptr<shard::SubscribeRequest>> owners_;
  std::map<std::uint32_t, std::map<std::uint32_t, ModelSubscription>> model_;  // by slot, by subscription
};

TEST_F(InterestModel, OwnersAndViewersAgreeWithTheListOfSubscriptions) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  random_.seed(seed);
  std::vector<Connection> connections;
  for (int n = 0; n < 5; ++n) connections.push_back(enter());
  for (int step = 0; step < 5000; ++step) {
    Connection& connection = connections[static_cast<std::size_t>(pick(0, 4))];
    const auto choice = pick(0, 19);
    if (choice < 7) {
      subscribe_at_random(connection);
    } else if (choice < 9) {
      unsubscribe_at_random(connection);
    } else if (choice < 19) {
      answer_at_random();
    } else {
      reconnect(connection);
    }
    deliver();
    check(connections);
    if (HasFatalFailure() || HasNonfatalFailure()) {
      FAIL() << "in step " << step;
    }
  }
  for (const Connection connection : connections) home.disconnected(connection);
  deliver();
  EXPECT_TRUE(interest_.empty());
  EXPECT_EQ(home.watched_chunks(), 0u);
}

}  // namespace
}  // namespace terrazzo::session

#include "server/shard/claim_desk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace terrazzo::shard {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
constexpr WorldId kWorld{9};
constexpr std::int64_t kShardCells = 8192;
using Kind = ClaimRequest::Kind;
using Reason = proto::ReleaseReason;

// Owners of shards, which carry out what the desk sends when the test lets them, and everybody who is told.
class Owners final : public ClaimOutput {
 public:
  void claim_part(std::unique_ptr<ClaimPart> part) override {
    waiting[part->shard.position].push_back(std::move(part));
  }
  void claim_note(SharedClaimNote note) override { notes.push_back(std::move(note)); }
  void claim_answer(std::unique_ptr<ClaimAnswer> answer) override { answers.push_back(std::move(*answer)); }
  bool is_there(SessionId session) const override { return !gone.contains(session); }

  // The shard's oldest; false: there is none.
  bool run_one(map::ShardPos shard, ClaimDesk& desk, std::uint64_t now_ns) {
    auto& queue = waiting[shard];
    if (queue.empty()) return false;
    const std::unique_ptr<ClaimPart> part = std::move(queue.front());
    queue.pop_front();
    if (broken.contains(shard)) {
      part->error = Error{ErrorCode::internal, "the file is damaged"};
    } else if (part->on) {
      tables[shard].add(part->claim);
    } else {
      tables[shard].remove(part->claim->serial);
    }
    desk.part_done(*part, now_ns, *this);
    return true;
  }
  void run_all(ClaimDesk& desk, std::uint64_t now_ns) {
    for (bool more = true; std::exchange(more, false);) {
      std::vector<map::ShardPos> shards;
      for (const auto& [shard, queue] : waiting) shards.push_back(shard);
      for (const map::ShardPos shard : shards) more |= run_one(shard, desk, now_ns);
    }
  }
  std::size_t claimed_in(map::ShardPos shard) { return tables[shard].size(); }

  std::map<map::ShardPos, std::deque<std::unique_ptr<ClaimPart>>> waiting;
  std::map<map::ShardPos, ClaimTable> tables;
  std::set<map::ShardPos> broken;
  std::set<SessionId> gone;
  std::vector<SharedClaimNote> notes;
  std::vector<ClaimAnswer> answers;
};

class ClaimDeskTest : public testing::Test {
 protected:
  static ClaimLimits limits() {
    ClaimLimits limits;
    limits.claims_max = 3;
    limits.cells_max = 4 * kShardCells * kShardCells;
    limits.ttl_max_ns = 1000 * kMs;
    limits.grace_ns = 100 * kMs;
    return limits;
  }
  // A session of the same number as its user.
  static ClaimRequest ask(Kind kind, std::uint64_t session, std::uint32_t number, const map::Rect& rect = {},
                          std::uint32_t ttl_ms = 0) {
    ClaimRequest request;
    request.kind = kind;
    request.world = kWorld;
    request.origin.session = SessionId{session};
    request.origin.claimant = UserId{session};
    request.number = ClaimId{number};
    request.name = "user " + std::to_string(session);
    request.rect = rect;
    request.ttl_ms = ttl_ms;
    return request;
  }
  void say(const ClaimRequest& request) { desk.request(request, {}, now, out); }
  void claim(std::uint64_t session, std::uint32_t number, const map::Rect& rect, std::uint32_t ttl_ms = 0) {
    say(ask(Kind::claim, session, number, rect, ttl_ms));
    out.run_all(desk, now);
  }
  void at(std::uint64_t ms) {
    now = ms * kMs;
    desk.tick(now, out);
    out.run_all(desk, now);
  }
  // Takes away what everybody was told: `+session/number` came into force, `-session/number reason` is over.
  std::vector<std::string> told() {
    std::vector<std::string> words;
    for (const SharedClaimNote& note : std::exchange(out.notes, {})) {
      std::string word = (note->over ? "-" : "+") + std::to_string(note->claim->session.value) + "/" +
                         std::to_string(note->claim->number.value);
      if (note->over) word += " " + std::string(proto::kReleaseReasonNames[static_cast<std::size_t>(note->reason)]);
      words.push_back(word);
    }
    return words;
  }
  using Words = std::vector<std::string>;
  // The one answer there is, taken away.
  ClaimAnswer answer() {
    EXPECT_EQ(out.answers.size(), 1u);
    ClaimAnswer one = out.answers.empty() ? ClaimAnswer{} : out.answers.front();
    out.answers.clear();
    return one;
  }
  ErrorCode refusal() {
    const ClaimAnswer one = answer();
    EXPECT_TRUE(one.error.has_value());
    return one.error ? one.error->code : ErrorCode::internal;
  }

  std::uint64_t now = 0;
  Owners out;
  ClaimDesk desk{kWorld, limits()};
  const map::Rect here = map::Rect::of_size(0, 0, 10, 10);
  // In four shards.
  const map::Rect corner = map::Rect::of_size(kShardCells - 5, kShardCells - 5, 10, 10);
};

TEST_F(ClaimDeskTest, IsToldWhenAllOwnersKnowAndOverWhenNoneDoes) {  // CL-3
  say(ask(Kind::claim, 1, 1, corner));
  const map::ShardPos shards[] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
  for (const map::ShardPos shard : shards) {
    EXPECT_TRUE(told().empty());
    EXPECT_TRUE(out.run_one(shard, desk, now));
  }
  EXPECT_EQ(told(), Words{"+1/1"});
  for (const map::ShardPos shard : shards) EXPECT_EQ(out.claimed_in(shard), 1u);
  say(ask(Kind::release, 1, 1));
  say(ask(Kind::claim, 2, 1, corner));
  EXPECT_EQ(refusal(), ErrorCode::claimed) << "not over before it is told to be";
  for (const map::ShardPos shard : shards) {
    EXPECT_TRUE(told().empty());
    EXPECT_TRUE(out.run_one(shard, desk, now));
  }
  EXPECT_EQ(told(), Words{"-1/1 released"});
  EXPECT_TRUE(desk.table().empty());
  for (const map::ShardPos shard : shards) EXPECT_EQ(out.claimed_in(shard), 0u);
}

TEST_F(ClaimDeskTest, OneThatMeetsAnotherUsersChangesNothingAnywhere) {  // CL-3, CL-4
  claim(1, 1, map::Rect::of_size(kShardCells, kShardCells, 1, 1));
  EXPECT_EQ(told(), Words{"+1/1"});
  claim(2, 1, corner);
  const ClaimAnswer refused = answer();
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, ErrorCode::claimed);
  ASSERT_EQ(refused.claims.size(), 1u);
  EXPECT_EQ(refused.claims[0]->session, SessionId{1});
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(out.claimed_in({0, 0}), 0u);
  EXPECT_EQ(out.claimed_in({1, 1}), 1u);
  claim(1, 2, corner);  // the same user may
  EXPECT_EQ(told(), Words{"+1/2"});
}

TEST_F(ClaimDeskTest, AClaimDecidedButNotInForceYetIsInTheWayAlready) {
  say(ask(Kind::claim, 1, 1, here));
  say(ask(Kind::claim, 2, 1, here));
  EXPECT_EQ(refusal(), ErrorCode::claimed);
}

TEST_F(ClaimDeskTest, ExpiresUnlessRenewedWithTheSameArea) {  // CL-5, CL-7
  claim(1, 1, here, 50);
  EXPECT_EQ(told(), Words{"+1/1"});
  at(40);
  claim(1, 1, here, 50);
  ASSERT_EQ(out.answers.size(), 1u);
  EXPECT_FALSE(out.answers[0].error.has_value());
  ASSERT_EQ(out.answers[0].standing.size(), 1u);
  EXPECT_EQ(out.answers[0].standing[0]->ttl_ms, 50u);
  out.answers.clear();
  at(60);
  EXPECT_TRUE(told().empty()) << "a renewal is nobody else's business, and it lives on";
  claim(1, 1, map::Rect::of_size(0, 0, 11, 10), 5000);
  EXPECT_EQ(refusal(), ErrorCode::conflict);
  at(89);
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(desk.next_tick_ns(), 90 * kMs);
  at(90);
  EXPECT_EQ(told(), Words{"-1/1 expired"});
  EXPECT_EQ(desk.next_tick_ns(), kNever);
  EXPECT_EQ(desk.counters().expired, 1u);
  EXPECT_EQ(desk.counters().renewed, 1u);
}

TEST_F(ClaimDeskTest, TimesLongerThanAllowedAreCut) {  // CL-1
  claim(1, 1, here, 4'000'000'000u);
  claim(2, 1, map::Rect::of_size(50, 50, 1, 1), 0);
  for (const SharedClaimNote& note : out.notes) EXPECT_EQ(note->ttl_ms, 1000u);
}

TEST_F(ClaimDeskTest, OutlivesItsConnectionForTheGraceTimeAndLongerWhereTheSessionIsBack) {  // CL-7
  claim(1, 1, here, 1000);
  claim(2, 1, map::Rect::of_size(50, 50, 1, 1), 1000);
  (void)told();
  for (const std::uint64_t session : {1u, 2u}) {
    out.gone.insert(SessionId{session});
    say(ask(Kind::lost, session, 0));
  }
  at(99);
  EXPECT_TRUE(told().empty());
  out.gone.erase(SessionId{2});
  at(100);
  EXPECT_EQ(told(), Words{"-1/1 left"});
  at(999);
  EXPECT_TRUE(told().empty());
  at(1000);
  EXPECT_EQ(told(), Words{"-2/1 expired"});
}

TEST_F(ClaimDeskTest, AnOwnerBreaksAClaimAndBothAreTold) {  // CL-6
  claim(1, 1, here);
  (void)told();
  ClaimRequest request = ask(Kind::release, 5, 1);
  say(request);
  const ClaimAnswer none = answer();
  EXPECT_TRUE(none.of_release);
  ASSERT_TRUE(none.error.has_value());
  EXPECT_EQ(none.error->code, ErrorCode::not_found);
  request.session = SessionId{1};
  say(request);
  out.run_all(desk, now);
  ASSERT_EQ(out.notes.size(), 1u);
  EXPECT_EQ(out.notes[0]->asked, SessionId{5});
  EXPECT_EQ(told(), Words{"-1/1 broken"});
  EXPECT_EQ(desk.counters().broken, 1u);
}

TEST_F(ClaimDeskTest, NumberAndAreaOfAUsersClaimsAreBounded) {  // CL-9
  for (std::uint32_t i = 1; i <= 3; ++i) claim(1, i, map::Rect::of_size(i * 20, 0, 10, 10));
  claim(1, 4, map::Rect::of_size(200, 0, 1, 1));
  EXPECT_EQ(refusal(), ErrorCode::too_large);
  claim(2, 1, map::Rect::of_size(0, 50, 2 * kShardCells, 2 * kShardCells - 1));
  claim(2, 2, map::Rect::of_size(0, 40, 2 * kShardCells, 2));
  EXPECT_EQ(refusal(), ErrorCode::too_large);
  claim(3, 1, map::Rect::of_size(0, -10, 65 * kShardCells, 1));  // few cells in many shards
  EXPECT_EQ(refusal(), ErrorCode::too_large);
  EXPECT_EQ(told().size(), 4u);
  say(ask(Kind::release, 1, 2));
  claim(1, 4, map::Rect::of_size(200, 0, 1, 1));
  EXPECT_EQ(told(), (Words{"-1/2 released", "+1/4"}));
}

TEST_F(ClaimDeskTest, AShardThatCannotBeOpenedUndoesTheWhole) {
  out.broken.insert({1, 1});
  claim(1, 1, corner);
  EXPECT_EQ(refusal(), ErrorCode::internal);
  EXPECT_TRUE(told().empty());
  for (auto& [shard, table] : out.tables) EXPECT_TRUE(table.empty());
  EXPECT_TRUE(desk.table().empty());
  claim(2, 1, map::Rect::of_size(0, 0, kShardCells, kShardCells));
  EXPECT_EQ(told(), Words{"+2/1"});
}

TEST_F(ClaimDeskTest, EditsOverShardsThatWereDecidedBeforeGoFirst) {
  desk.request(ask(Kind::claim, 1, 1, here), {7, 6}, now, out);  // 6 and 7 wait for the log
  EXPECT_TRUE(out.waiting.empty());
  desk.request(ask(Kind::claim, 2, 1, here), {7, 6}, now, out);
  EXPECT_EQ(refusal(), ErrorCode::claimed);
  desk.sent({8, 7}, out);
  EXPECT_TRUE(out.waiting.empty());
  desk.sent({8, 8}, out);
  out.run_all(desk, now);
  EXPECT_EQ(told(), Words{"+1/1"});
}

TEST_F(ClaimDeskTest, ReleasedBeforeItBeganItIsOverAndTheNumberIsFree) {
  say(ask(Kind::claim, 1, 1, here));
  say(ask(Kind::release, 1, 1));
  say(ask(Kind::claim, 1, 1, corner));
  out.run_all(desk, now);
  EXPECT_EQ(told(), (Words{"-1/1 released", "+1/1"}));
  EXPECT_EQ(desk.table().size(), 1u);
}

TEST_F(ClaimDeskTest, WhoSubscribesIsToldWhatItDoesNotKnow) {  // CL-8
  claim(1, 1, here);
  claim(2, 1, map::Rect::of_size(320, 0, 10, 10));
  say(ask(Kind::claim, 3, 1, map::Rect::of_size(64, 0, 1, 1)));  // not in force yet
  ClaimRequest look = ask(Kind::look, 4, 0);
  look.area = {0, 0, 12, 1};
  say(look);
  EXPECT_EQ(answer().standing.size(), 2u);
  look.known = {0, 0, 5, 1};
  say(look);
  const ClaimAnswer more = answer();
  ASSERT_EQ(more.standing.size(), 1u);
  EXPECT_EQ(more.standing[0]->claim->session, SessionId{2});
  look.area = {20, 20, 30, 30};
  say(look);
  EXPECT_TRUE(out.answers.empty());
}

class AnyOrder : public ClaimDeskTest {
 protected:
  // Looks at whether what was told since the last look is true.
  void listen() {
    for (const SharedClaimNote& note : std::exchange(out.notes, {})) {
      const Claim& claim = *note->claim;
      const map::Rect shards = map::shards_of(claim.rect);
      for (std::int64_t y = shards.y0; y < shards.y1; ++y) {
        for (std::int64_t x = shards.x0; x < shards.x1; ++x) {
          std::vector<SharedClaim> found;
          const map::ShardPos shard{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
          out.tables[shard].in_the_way(UserId{}, 0, claim.rect.intersect(map::cells_of(shard)), found);
          ASSERT_EQ(std::ranges::count(found, note->claim) == 1, !note->over);
        }
      }
      if (note->over) {
        in_force.erase(claim.serial);
        continue;
      }
      ++answered;
      ASSERT_TRUE(in_force.emplace(claim.serial, note->claim).second);
      for (const auto& [serial, other] : in_force)
        ASSERT_TRUE(other->user == claim.user || !other->rect.intersects(claim.rect));
    }
    for (const ClaimAnswer& each : std::exchange(out.answers, {})) answered += each.of_release ? 0 : 1;
  }

  std::map<std::uint64_t, SharedClaim> in_force;
  std::size_t answered = 0;
};

// Whatever comes in whatever order: claims that are told to be in force are known by all their owners and meet no other
// user's; those that are over are known by none; each that was asked for is answered.
TEST_F(AnyOrder, HoldsItsWordWhateverHappens) {
  const char* const given = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("TERRAZZO_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t end) {
    return std::uniform_int_distribution<std::uint64_t>(0, end - 1)(random);
  };
  std::size_t wanted = 0;
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t session = 1 + below(4);
    const auto number = static_cast<std::uint32_t>(1 + below(2));
    switch (below(6)) {
      case 0:
      case 1: {
        const auto x = static_cast<std::int64_t>(below(4)) * kShardCells / 2, y = static_cast<std::int64_t>(below(2));
        const auto ttl = static_cast<std::uint32_t>(1 + below(60));
        say(ask(Kind::claim, session, number, map::Rect::of_size(x, y * kShardCells, kShardCells, 4), ttl));
        ++wanted;
        break;
      }
      case 2:
        say(ask(Kind::release, session, number));
        break;
      case 3:
        below(2) == 0 ? void(out.gone.insert(SessionId{session})) : void(out.gone.erase(SessionId{session}));
        say(ask(Kind::lost, session, 0));
        break;
      case 4:
        now += below(20) * kMs;
        desk.tick(now, out);
        break;
      default:
        for (std::uint64_t i = below(6); i > 0; --i)
          out.run_one({static_cast<std::int32_t>(below(3)), static_cast<std::int32_t>(below(2))}, desk, now);
    }
    ASSERT_NO_FATAL_FAILURE(listen()) << "step " << step;
  }
  out.run_all(desk, now);
  ASSERT_NO_FATAL_FAILURE(listen());
  EXPECT_EQ(in_force.size(), desk.standing(now).size());
  // A renewal of one that has not begun is answered together with it; one that was released before it began is over.
  EXPECT_LE(answered, wanted);
  at(now / kMs + 1'000'000);
  ASSERT_NO_FATAL_FAILURE(listen());
  EXPECT_TRUE(in_force.empty()) << "all have expired";
  EXPECT_TRUE(desk.table().empty());
  for (auto& [shard, table] : out.tables) EXPECT_TRUE(table.empty());
  EXPECT_EQ(desk.next_tick_ns(), kNever);
}

}  // namespace
}  // namespace terrazzo::shard

#include "server/storage/residency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "server/storage/extent_sieve.h"

namespace terrazzo::storage {
namespace {

TEST(Residency, NewPagesArePresentAndOpenedOnesAreNot) {
  Residency residency;
  residency.cover(10, false);
  residency.cover(100, true);
  EXPECT_FALSE(residency.is_present(9));
  EXPECT_TRUE(residency.is_present(10));
  EXPECT_EQ(residency.resident(), 90u);
  residency.brought(9);
  residency.brought(9);
  EXPECT_EQ(residency.resident(), 91u);
}

TEST(Residency, ReleaseLeavesNodesAndWhatIsNotOnDisk) {
  Residency residency;
  residency.cover(128, true);
  EXPECT_TRUE(residency.touch_node(3));
  residency.written(70);  // in the second extent
  EXPECT_TRUE(residency.is_clean(0));
  EXPECT_FALSE(residency.is_clean(1));
  EXPECT_EQ(residency.release(0), ~(std::uint64_t{1} << 3));
  EXPECT_TRUE(residency.is_present(3));
  EXPECT_FALSE(residency.is_present(4));
  EXPECT_EQ(residency.resident(), 65u);

  residency.root_begun();
  residency.written(71);  // after it: in no root yet
  residency.root_durable();
  EXPECT_FALSE(residency.is_clean(1));
  residency.root_begun();
  EXPECT_FALSE(residency.is_clean(1));
  residency.root_durable();
  EXPECT_TRUE(residency.is_clean(1));
  // A page that is written anew is a node no more.
  residency.written(3);
  residency.root_begun();
  residency.root_durable();
  EXPECT_EQ(residency.release(0), std::uint64_t{1} << 3);
}

TEST(Residency, TellsExtentsThatComeToHoldPagesOnceUntilTheyAreReleased) {
  Residency residency;
  residency.cover(256, false);
  residency.brought(5);
  residency.brought(6);
  residency.brought(130);
  std::vector<PageNo> told;
  const auto take = [&] {
    told.clear();
    residency.take_new_extents([&](PageNo extent) { told.push_back(extent); });
    return told;
  };
  EXPECT_EQ(take(), (std::vector<PageNo>{0, 2}));
  residency.brought(7);
  EXPECT_TRUE(take().empty());
  residency.release(0);
  residency.brought(7);
  EXPECT_EQ(take(), (std::vector<PageNo>{0}));
  residency.release(2);
  residency.brought(200);
  residency.tell_again();
  EXPECT_EQ(take(), (std::vector<PageNo>{0, 3})) << "what holds pages, once each";
  EXPECT_TRUE(take().empty());
}

// One extent at a time, with a set of keys as the model.
class Sieve {
 public:
  void add(std::uint32_t key) {
    sieve_.insert({0, key});
    in_.insert(key);
  }
  void use(std::uint32_t key) { used_.insert(key); }
  std::optional<std::uint32_t> evict() {
    const auto found = sieve_.next(1000, [&](const ExtentSieve::Key& key) {
      EXPECT_TRUE(in_.contains(key.extent));
      return used_.erase(key.extent) != 0 ? ExtentSieve::Verdict::keep : ExtentSieve::Verdict::release;
    });
    if (!found) return std::nullopt;
    EXPECT_EQ(in_.erase(found->extent), 1u);
    EXPECT_EQ(sieve_.size(), in_.size());
    return found->extent;
  }
  std::size_t size() const { return in_.size(); }

 private:
  ExtentSieve sieve_;
  std::set<std::uint32_t> in_, used_;
};

TEST(ExtentSieve, TheOldestUnusedGoesAndTheHandStaysWhereItIs) {
  Sieve sieve;
  for (std::uint32_t key = 1; key <= 5; ++key) sieve.add(key);
  sieve.use(1);
  sieve.use(3);
  EXPECT_EQ(sieve.evict(), 2u);  // past 1
  EXPECT_EQ(sieve.evict(), 4u);  // past 3
  sieve.add(6);
  EXPECT_EQ(sieve.evict(), 5u);
  EXPECT_EQ(sieve.evict(), 6u);
  EXPECT_EQ(sieve.evict(), 1u);  // round again
  EXPECT_EQ(sieve.evict(), 3u);
  EXPECT_EQ(sieve.evict(), std::nullopt);
  sieve.add(7);
  EXPECT_EQ(sieve.evict(), 7u);
}

TEST(ExtentSieve, AScanDoesNotPushOutWhatIsUsed) {
  Sieve sieve;
  for (std::uint32_t key = 0; key < 20; ++key) sieve.add(key);
  for (std::uint32_t scanned = 100; scanned < 1100; ++scanned) {
    for (std::uint32_t key = 0; key < 20; ++key) sieve.use(key);
    sieve.add(scanned);
    if (sieve.size() <= 40) continue;
    const auto gone = sieve.evict();
    ASSERT_TRUE(gone.has_value());
    EXPECT_GE(*gone, 100u);
  }
}

TEST(ExtentSieve, AFileThatGoesTakesItsExtentsAlong) {
  ExtentSieve sieve;
  for (PageNo extent = 0; extent < 10; ++extent) sieve.insert({extent % 2, extent});
  const auto release = [](const ExtentSieve::Key&) { return ExtentSieve::Verdict::release; };
  EXPECT_EQ(sieve.next(10, release)->extent, 0u);  // the hand points to one that goes
  sieve.erase_file(1);
  EXPECT_EQ(sieve.size(), 4u);
  sieve.insert({1, 77});
  for (const PageNo extent : {2u, 4u, 6u, 8u, 77u}) EXPECT_EQ(sieve.next(10, release)->extent, extent);
  EXPECT_FALSE(sieve.next(10, release));
}

TEST(ExtentSieve, NothingIsLostAtRandom) {
  std::mt19937 random(3);
  Sieve sieve;
  std::uint32_t next = 0;
  for (int i = 0; i < 20000; ++i) {
    if (random() % 3 != 0) sieve.add(next++);
    if (next != 0) sieve.use(static_cast<std::uint32_t>(random() % next));
    if (random() % 2 == 0) sieve.evict();
  }
  while (sieve.evict()) {
  }
  EXPECT_EQ(sieve.size(), 0u);
}

}  // namespace
}  // namespace terrazzo::storage

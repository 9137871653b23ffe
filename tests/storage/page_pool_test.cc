#include "server/storage/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

namespace terrazzo::storage {
namespace {

// A pool never looks into its pages.
class CountedPages final : public PageFile {
 public:
  std::byte* base() override { return nullptr; }
  PageNo page_count() const override { return pages; }
  Status grow(PageNo wanted) override {
    if (wanted > most) return Error{ErrorCode::overloaded, "the disk is full"};
    pages = std::max(pages, wanted);
    return {};
  }
  PageNo pages = 4096, most = 1u << 20;
};

class PagePoolTest : public testing::Test {
 protected:
  PagePoolTest() { pool.adopt_new(); }
  std::vector<PageNo> take(std::size_t count) {
    EXPECT_TRUE(pool.reserve(count));
    std::vector<PageNo> pages;
    for (std::size_t i = 0; i < count; ++i) pages.push_back(pool.take());
    return pages;
  }
  // Right after a root began: what it will have as free.
  static std::vector<PageNo> free_or_waiting(const PagePool& of) {
    std::vector<PageNo> found;
    of.for_each_free([&](PageNo page) { found.push_back(page); });
    of.for_each_pending([&](PageNo page) { found.push_back(page); });
    std::ranges::sort(found);
    return found;
  }
  // What it writes down, in slices.
  static std::vector<PageNo> free_of_root(PagePool& of, PageNo pages) {
    constexpr PageNo kSlice = 192;
    std::vector<PageNo> found;
    for (PageNo first = 0; first < pages; first += kSlice) {
      std::vector<std::byte> bits((std::min(kSlice, pages - first) + 7) / 8);
      of.copy_free_bits(first, bits);
      for (PageNo i = 0; i < bits.size() * 8; ++i)
        if ((bits[i / 8] >> i % 8 & std::byte{1}) != std::byte{0}) found.push_back(first + i);
    }
    return found;
  }
  CountedPages file;
  Residency residency;
  PagePool pool{file, residency};
};

TEST_F(PagePoolTest, WhatIsMadeReadyIsWhatEditsTakeNext) {
  EXPECT_FALSE(pool.wants_ready()) << "nobody edits this shard";
  take(300);
  ASSERT_TRUE(pool.wants_ready());
  const ReadyRequest request = pool.ask_ready();
  EXPECT_EQ(request.grow_from, request.grow_to);
  ASSERT_EQ(request.pages.size(), 300u) << "as many as were taken lately";
  EXPECT_FALSE(pool.wants_ready()) << "they are ready, or about to be";
  std::vector<PageNo> taken = take(request.pages.size() / 2 + 1);
  for (const PageNo page : taken) EXPECT_EQ(std::ranges::count(request.pages, page), 1);
  ASSERT_TRUE(pool.wants_ready());
  // What is ready still is not asked for again.
  const ReadyRequest more = pool.ask_ready();
  EXPECT_EQ(more.pages.size(), 2 * taken.size());
  for (const PageNo page : more.pages) EXPECT_EQ(std::ranges::count(request.pages, page), 0);
}

TEST_F(PagePoolTest, ASyncMakesThemAllFaultAgain) {
  take(100);
  EXPECT_EQ(pool.ask_ready().pages.size(), 100u);
  pool.synced();
  EXPECT_FALSE(pool.wants_ready()) << "nothing is taken: a sync after the other would write them for nobody";
  take(1);
  ASSERT_TRUE(pool.wants_ready());
  EXPECT_EQ(pool.ask_ready().pages.size(), 51u) << "half of what was taken before the sync, and what was since";
}

TEST_F(PagePoolTest, ASlowPainterHasFewPagesMadeReady) {
  // Each of them is written by the next sync, whether it was used or not.
  for (int checkpoint = 0; checkpoint < 10; ++checkpoint) {
    take(1);
    EXPECT_TRUE(!pool.wants_ready() || pool.ask_ready().pages.size() <= 16);
    pool.synced();
  }
}

TEST_F(PagePoolTest, PagesThatComeFreeLieBehindThoseThatAreReady) {
  const std::vector<PageNo> old = take(300);
  pool.root_begun();
  pool.synced();
  for (const PageNo page : old) pool.retire(page);
  take(1);
  const ReadyRequest request = pool.ask_ready();
  pool.root_begun();
  pool.root_durable();  // now `old` is free
  for (const PageNo page : take(request.pages.size())) EXPECT_EQ(std::ranges::count(request.pages, page), 1);
}

TEST_F(PagePoolTest, SpaceIsFoundAheadAndWhoeverIsFasterFindsItThemselves) {
  take(file.pages - shardfile::kRootSlots - 100);
  ASSERT_TRUE(pool.wants_ready());
  const ReadyRequest request = pool.ask_ready();
  EXPECT_EQ(request.pages.size(), 100u);
  EXPECT_EQ(request.grow_from, 4096u);
  EXPECT_EQ(request.grow_to, 4096u + 512);
  pool.made_ready(request, true);
  EXPECT_EQ(pool.free_count(), 612u);
  EXPECT_EQ(take(101).back(), 4096u) << "first what is ready, then the lowest of the new ones";

  take(511);
  const ReadyRequest late = pool.ask_ready();
  EXPECT_EQ(late.grow_from, 4608u);
  take(1);  // grows
  const std::size_t free = pool.free_count();
  pool.made_ready(late, true);
  EXPECT_EQ(pool.free_count(), free);
}

TEST_F(PagePoolTest, AFullDiskIsHeardOfByTheEditThatNeedsThePage) {
  file.most = file.pages;
  take(file.pages - shardfile::kRootSlots);
  const ReadyRequest request = pool.ask_ready();
  EXPECT_GT(request.grow_to, request.grow_from);
  pool.made_ready(request, false);
  pool.made_ready(request, true);
  EXPECT_EQ(pool.free_count(), 0u);
  EXPECT_EQ(pool.reserve(1).error().code, ErrorCode::overloaded);
}

TEST_F(PagePoolTest, WhatWasFreeIsFreeAfterOpening) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    const auto pages = static_cast<PageNo>(shardfile::kRootSlots + random() % 300);
    file.pages = pages + static_cast<PageNo>(random() % 3);
    // Seldom free, often free, all free, none; bits of the roots and behind the end mean nothing.
    const std::uint64_t one_in = std::uint64_t{1} << random() % 8;
    std::vector<std::byte> bits((pages + 7) / 8 + random() % 3);
    std::vector<PageNo> expected;
    for (std::size_t page = 0; page < bits.size() * 8; ++page) {
      if (random() % one_in != 0) continue;
      bits[page / 8] |= std::byte{1} << page % 8;
      if (page >= shardfile::kRootSlots && page < pages) expected.push_back(static_cast<PageNo>(page));
    }
    for (PageNo page = pages; page < file.pages; ++page) expected.push_back(page);
    ASSERT_TRUE(pool.adopt(bits, pages));
    std::vector<PageNo> found;
    pool.for_each_free([&](PageNo page) { found.push_back(page); });
    ASSERT_TRUE(std::ranges::is_sorted(found, std::greater<>{})) << "the lowest is taken first";
    std::ranges::sort(found);
    ASSERT_EQ(found, expected) << pages << " pages, then the file of " << file.pages;
  }
  EXPECT_FALSE(pool.adopt({}, 64)) << "a list that is too short is not believed";
}

TEST_F(PagePoolTest, EveryPageIsAtOnePlaceWhateverHappens) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  file.pages = 64;
  Residency fresh;
  PagePool one(file, fresh);
  one.adopt_new();
  std::vector<PageNo> used;
  std::vector<ReadyRequest> asked;
  one.root_begun();
  PageNo root_pages = file.pages;
  std::vector<PageNo> free_in_root = free_or_waiting(one);
  for (int step = 0; step < 5000; ++step) {
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
        ASSERT_TRUE(one.reserve(random() % 20));
        for (std::size_t n = std::min<std::size_t>(random() % 20, one.free_count()); n > 0; --n)
          used.push_back(one.take());
        break;
      case 3:
      case 4:
        if (used.empty()) break;
        std::swap(used[random() % used.size()], used.back());
        one.retire(used.back());
        used.pop_back();
        break;
      case 5:
        ASSERT_EQ(free_of_root(one, root_pages), free_in_root) << "as of when the root began";
        one.root_begun();
        root_pages = file.pages;
        free_in_root = free_or_waiting(one);
        one.synced();
        if (random() % 2 == 0) one.root_durable();
        break;
      case 6:
        if (one.wants_ready()) asked.push_back(one.ask_ready());
        break;
      default:
        if (asked.empty()) break;
        one.made_ready(asked.back(), random() % 2 == 0);
        asked.pop_back();
    }
    if (step % 64 != 0) continue;
    std::vector<PageNo> pages = used;
    const auto add = [&](PageNo page) { pages.push_back(page); };
    one.for_each_free(add);
    one.for_each_pending(add);
    std::ranges::sort(pages);
    ASSERT_EQ(pages.size(), file.pages - shardfile::kRootSlots);
    ASSERT_GE(pages.front(), shardfile::kRootSlots);
    ASSERT_EQ(std::ranges::adjacent_find(pages), pages.end());
  }
}

}  // namespace
}  // namespace terrazzo::storage

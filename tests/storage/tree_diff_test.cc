// What comparing two states of a shard looks at: what differs, and nothing that both share.
#include "shardfile/tree_diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "crashing_file.h"
#include "server/storage/shard_store.h"

namespace terrazzo::storage {
namespace {

constexpr std::uint8_t kLayer = 3;
constexpr std::uint16_t kChunk = 40'000;

class TreeDiff : public testing::Test {
 protected:
  // 65,536 chunks, no two of which are alike; then one cell of one of them.
  void SetUp() override {
    ASSERT_TRUE(store_->begin_edit(Lsn{1}, 300).ok());
    for (unsigned chunk = 0; chunk < 65'536; ++chunk)
      store_->fill_chunk(kLayer, static_cast<std::uint16_t>(chunk), 1 + chunk);
    before_ = store_->pin(PinKind::version, 1);
    ASSERT_TRUE(store_->begin_edit(Lsn{2}, 4).ok());
    store_->write(kLayer, kChunk)[77] = 0;
    after_ = store_->pin(PinKind::version, 2);
  }
  // The nodes on the way to the chunk.
  std::vector<PageNo> way(const PinInfo& pin) {
    const std::uint8_t steps[] = {kLayer, shardfile::region_of(kChunk)};
    std::vector<PageNo> pages{pin.top.value};
    for (const std::uint8_t step : steps)
      pages.push_back(reinterpret_cast<const shardfile::Node*>(page(pages.back()))->at(step).value);
    return pages;
  }
  std::byte* page(PageNo number) { return file_.base() + std::size_t{number} * kPageBytes; }
  // The file as one who may look at these pages only sees it: everything else is never touched ground.
  std::vector<shardfile::Node> only(const std::vector<PageNo>& pages) {
    std::vector<shardfile::Node> copy(file_.page_count());
    for (const PageNo number : pages) copy[number] = *reinterpret_cast<const shardfile::Node*>(page(number));
    return copy;
  }

  CrashingFile file_;
  std::unique_ptr<ShardStore> store_ = *ShardStore::create(file_, {WorldId{42}, -3, 7});
  PinInfo before_, after_;
};

TEST_F(TreeDiff, OneCellOf65536ChunksLooksAtThreeNodesOfEach) {
  const std::vector<PageNo> before = way(before_), after = way(after_);
  ASSERT_GT(store_->pages().live, 250u) << "most of the shard would be there to look at";
  for (const PageNo number : after) EXPECT_EQ(std::ranges::count(before, number), 0) << "copied";
  // One side has all nodes, the other the three on the way: whoever looks at another finds a difference there.
  const auto few = only(before);
  const shardfile::TreeReader all({file_.base(), std::size_t{file_.page_count()} * kPageBytes}, after_.top),
      three(std::as_bytes(std::span(few)), before_.top);
  std::set<std::pair<std::uint8_t, std::uint16_t>> visited;
  const auto visit = [&](std::uint8_t layer, std::uint16_t chunk) { visited.insert({layer, chunk}); };
  ASSERT_TRUE(shardfile::diff_trees(all, three, visit));
  EXPECT_EQ(visited, (std::set<std::pair<std::uint8_t, std::uint16_t>>{{kLayer, kChunk}}));
  // That it would be found: with one node less, a region is visited.
  const auto fewer = only({before[0], before[1]});
  ASSERT_TRUE(shardfile::diff_trees(all, {std::as_bytes(std::span(fewer)), before_.top}, visit));
  EXPECT_EQ(visited.size(), 256u);
}

}  // namespace
}  // namespace terrazzo::storage

// Three trees of a real shard's file, edited at random, against cells in plain memory.
#include "server/app/merge_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/io/mmap_page_file.h"
#include "server/shard/swaps.h"
#include "server/storage/shard_store.h"
#include "tests/io/scratch_folder.h"

namespace terrazzo::app {
namespace {

using http::MergeAsk;
using storage::kMainHead;
using storage::PinKind;
using storage::ShardStore;

constexpr storage::HeadId kBranch = 1;
constexpr WorldId kWorld{7};
const map::ShardPos kShard{-1, 2};
// The chunks that are painted: some beside each other, on both sides of regions.
constexpr std::array<std::uint16_t, 6> kChunks{14, 15, 16, 17, 256 * 16 + 16, 65535};

using Chunk = std::array<std::uint32_t, map::kChunkCells>;
using Cells = std::map<std::pair<unsigned, std::uint16_t>, Chunk>;  // by layer and chunk; missing: nothing but 0

class Lines {
 public:
  explicit Lines(std::uint64_t seed) : random_(seed) {
    file_ = *io::MmapPageFile::create(path());
    store_ = *ShardStore::create(*file_, {kWorld, kShard.x, kShard.y});
    for (int i = 0; i < 8; ++i) paint(kMainHead, ours);
    base = theirs = ours;
    EXPECT_TRUE(store_->add_branch(kBranch, store_->pin(PinKind::version, 1)));
    for (std::uint64_t i = pick(12); i > 0; --i) paint(kBranch, theirs);
    for (std::uint64_t i = pick(12); i > 0; --i) paint(kMainHead, ours);
  }
  PinsGather states() {
    PinsGather gather;
    gather.states = {{WorldId{8}, 1}, {kWorld, 1}, {kWorld, 0}};
    gather.found.push_back({kShard,
                            path(),
                            {store_->pin(PinKind::snapshot, 1, kBranch).top, store_->find_pin(PinKind::version, 1)->top,
                             store_->pin(PinKind::snapshot, 1).top},
                            {}});
    return gather;
  }
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  Cells base, theirs, ours;

 private:
  std::string path() const { return folder_ / "0_0.shard"; }
  // A few values, so that both lines often do the same.
  void paint(storage::HeadId head, Cells& model) {
    const auto layer = static_cast<std::uint8_t>(pick(2));
    const std::uint16_t at = kChunks[pick(kChunks.size())];
    EXPECT_TRUE(store_->begin_edit(next(store_->lsn(head)), 600, head));
    Chunk& cells = model[{layer, at}];
    if (pick(4) == 0) {
      const auto value = static_cast<std::uint32_t>(pick(3));
      store_->fill_chunk(layer, at, value);
      return cells.fill(value);
    }
    std::uint32_t* const written = store_->write(layer, at);
    for (std::uint64_t runs = pick(6); runs > 0; --runs) {
      const std::uint64_t from = pick(map::kChunkCells), count = pick(40);
      for (std::uint64_t i = from; i < std::min<std::uint64_t>(from + count, map::kChunkCells); ++i)
        written[i] = cells[i] = static_cast<std::uint32_t>(pick(3));
    }
  }

  io::ScratchFolder folder_;
  std::mt19937_64 random_;
  std::unique_ptr<io::MmapPageFile> file_;
  std::unique_ptr<ShardStore> store_;
};

// A part of the shard, often none of it.
map::Rect some_area(Lines& lines) {
  const map::Rect whole = map::cells_of(kShard);
  return map::Rect::of_size(
      whole.x0 + static_cast<std::int64_t>(lines.pick(600)), whole.y0 + static_cast<std::int64_t>(lines.pick(20)),
      1 + static_cast<std::int64_t>(lines.pick(200)), 1 + static_cast<std::int64_t>(lines.pick(600)));
}

bool covers(const map::Rect& rect, const map::CellPos& at) {
  return !rect.intersect(map::Rect::of_size(at.x, at.y, 1, 1)).empty();
}

// What a merge says of itself, worked out cell by cell.
struct Expected {
  http::MergeInfo info;
  Cells merged;
};
Expected expected(const Lines& lines, const MergeAsk& ask) {
  Expected expected;
  expected.merged = lines.ours;
  const auto of = [](const Cells& cells, const auto& key, std::size_t i) {
    const auto found = cells.find(key);
    return found == cells.end() ? 0 : found->second[i];
  };
  for (unsigned layer = 0; layer < 2; ++layer) {
    for (const std::uint16_t at : kChunks) {
      const std::pair key{layer, at};
      const map::Rect whole = map::cells_of(map::chunk_at(kShard, at));
      for (std::size_t i = 0; i < map::kChunkCells; ++i) {
        const map::CellPos cell{static_cast<std::int32_t>(whole.x0 + static_cast<std::int64_t>(i) % map::kChunkSize),
                                static_cast<std::int32_t>(whole.y0 + static_cast<std::int64_t>(i) / map::kChunkSize)};
        const std::uint32_t b = of(lines.base, key, i), t = of(lines.theirs, key, i), o = of(lines.ours, key, i);
        if (t == b || (ask.area && !covers(*ask.area, cell))) continue;
        if (t == o) {
          ++expected.info.same;
          continue;
        }
        bool take = true;
        if (o != b) {
          ++expected.info.conflicts;
          const auto choice = std::ranges::find_if(ask.choices, [&](const MergeAsk::Choice& each) {
            return each.layer.value_or(static_cast<map::LayerId>(layer)) == layer && covers(each.rect, cell);
          });
          if (choice != ask.choices.end()) {
            take = choice->theirs;
          } else {
            take = ask.conflicts == MergeAsk::Conflicts::theirs;
            if (ask.conflicts == MergeAsk::Conflicts::refuse) ++expected.info.undecided;
          }
        }
        if (!take) continue;
        ++expected.info.cells;
        expected.merged[key][i] = t;
      }
    }
  }
  return expected;
}

// Carries out the swaps, each of which must find what it says.
void apply(const std::vector<std::unique_ptr<shard::EditRequest>>& parts, Cells& cells) {
  for (const auto& part : parts) {
    EXPECT_EQ(part->shard, (shard::ShardKey{kWorld, kShard}));
    for (const shard::Swap& swap : part->swaps) {
      std::size_t count = 0;
      for (std::int64_t y = swap.rect.y0; y < swap.rect.y1; ++y) {
        for (std::int64_t x = swap.rect.x0; x < swap.rect.x1; ++x, ++count) {
          const map::Cell from = swap.from_cells.empty() ? swap.from : swap.from_cells[count],
                          to = swap.to_cells.empty() ? swap.to : swap.to_cells[count];
          if (from == to) continue;
          const map::ChunkPos chunk = map::chunk_of({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
          const map::Rect whole = map::cells_of(chunk);
          const auto i = static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (x - whole.x0));
          std::uint32_t& cell = cells[{swap.layer, map::index_in_shard(chunk)}][i];
          EXPECT_EQ(cell, from.bits);
          cell = to.bits;
        }
      }
    }
  }
}

std::uint64_t first_seed() {
  const char* given = std::getenv("TERRAZZO_MERGE_SEED");
  return given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
}

TEST(MergePlan, IsWhatComparingCellByCellSays) {
  const std::uint64_t seed = first_seed();
  std::printf("TERRAZZO_MERGE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  for (std::uint64_t round = 0; round < 60 && !testing::Test::HasFailure(); ++round) {
    Lines lines(seed + round);
    SCOPED_TRACE(seed + round);
    MergeAsk ask;
    ask.conflicts = static_cast<MergeAsk::Conflicts>(lines.pick(3));
    if (lines.pick(3) == 0) ask.area = some_area(lines);
    for (std::uint64_t i = lines.pick(3); i > 0; --i)
      ask.choices.push_back(
          {lines.pick(2) == 0 ? std::optional<map::LayerId>(0) : std::nullopt, some_area(lines), lines.pick(2) == 0});
    const Result<MergePlan> plan = plan_merge(lines.states(), ask);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    Expected wanted = expected(lines, ask);
    EXPECT_EQ(plan->info.cells, wanted.info.cells);
    EXPECT_EQ(plan->info.same, wanted.info.same);
    EXPECT_EQ(plan->info.conflicts, wanted.info.conflicts);
    EXPECT_EQ(plan->info.undecided, wanted.info.undecided);
    std::uint64_t listed = 0;
    for (const http::MergeInfo::Area& area : plan->info.areas) listed += area.cells;
    EXPECT_EQ(listed, wanted.info.conflicts);
    Cells merged = lines.ours;
    apply(plan->parts, merged);
    std::erase_if(merged, [](const auto& chunk) { return chunk.second == Chunk{}; });
    std::erase_if(wanted.merged, [](const auto& chunk) { return chunk.second == Chunk{}; });
    EXPECT_EQ(merged, wanted.merged);
  }
}

}  // namespace
}  // namespace terrazzo::app

#include "server/app/merge_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/io/read_only_mapping.h"
#include "server/shard/swaps.h"
#include "shardfile/tree_diff.h"

namespace terrazzo::app {
namespace {

using shardfile::ChunkView;
using shardfile::TreeReader;

map::Cell cell_at(const ChunkView& view, std::size_t index) {
  return map::Cell{view.cells == nullptr ? view.fill : view.cells[index]};
}

// The shard of which three trees are compared.
class ShardMerge {
 public:
  ShardMerge(std::span<const std::byte> file, const PinsGather::Shard& shard, const http::MergeAsk& ask,
             http::MergeInfo& info, shard::EditRequest& part)
      : theirs_(file, shard.trees[0]),
        base_(file, shard.trees[1]),
        ours_(file, shard.trees[2]),
        position_(shard.position),
        ask_(ask),
        info_(info),
        part_(part) {}

  Status run() {
    const bool whole = shardfile::diff_trees(theirs_, base_, [&](std::uint8_t layer, std::uint16_t chunk) {
      if (outcome_) outcome_ = look(layer, chunk);
    });
    if (!whole) outcome_ = damaged();
    if (outcome_) part_.swaps = part_.arena.copy(std::span<const shard::Swap>(swaps_));
    return outcome_;
  }

 private:
  static Error damaged() {
    return {ErrorCode::internal, "a shard's file is damaged: terrazzo-server verify says where"};
  }

  Status look(std::uint8_t layer, std::uint16_t index) {
    const map::ChunkPos chunk = map::chunk_at(position_, index);
    const map::Rect whole = map::cells_of(chunk);
    const map::Rect wanted = ask_.area ? whole.intersect(*ask_.area) : whole;
    if (wanted.empty()) return {};
    const ChunkView theirs = theirs_.read(layer, index), base = base_.read(layer, index),
                    ours = ours_.read(layer, index);
    if (theirs.damaged || base.damaged || ours.damaged) return damaged();
    if (theirs.blob != 0 || base.blob != 0 || ours.blob != 0)
      return Error{ErrorCode::unsupported, fmt::format("layer {} holds objects, which cannot be merged", layer)};
    map::Rect conflict{whole.x1, whole.y1, whole.x0, whole.y0};
    std::uint64_t conflicts = 0;
    for (std::size_t i = 0; i < map::kChunkCells; ++i) from_[i] = to_[i] = map::Cell{};
    for (std::int64_t y = wanted.y0; y < wanted.y1; ++y) {
      for (std::int64_t x = wanted.x0; x < wanted.x1; ++x) {
        const auto i = static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (x - whole.x0));
        const map::Cell t = cell_at(theirs, i), b = cell_at(base, i), o = cell_at(ours, i);
        if (t == b) continue;
        if (t == o) {
          ++info_.same;
          continue;
        }
        if (o != b) {
          ++conflicts;
          conflict = {std::min(conflict.x0, x), std::min(conflict.y0, y), std::max(conflict.x1, x + 1),
                      std::max(conflict.y1, y + 1)};
          if (!takes_theirs(layer, x, y)) continue;
        }
        from_[i] = o;
        to_[i] = t;
        ++info_.cells;
      }
    }
    if (conflicts != 0) {
      info_.conflicts += conflicts;
      if (info_.areas.size() < http::MergeInfo::kAreasMax) info_.areas.push_back({layer, conflict, conflicts});
    }
    shard::add_swaps(layer, chunk, from_, to_, part_.arena, swaps_);
    return {};
  }

  bool takes_theirs(map::LayerId layer, std::int64_t x, std::int64_t y) {
    for (const http::MergeAsk::Choice& choice : ask_.choices)
      if (choice.layer.value_or(layer) == layer && !choice.rect.intersect(map::Rect::of_size(x, y, 1, 1)).empty())
        return choice.theirs;
    if (ask_.conflicts == http::MergeAsk::Conflicts::refuse) ++info_.undecided;
    return ask_.conflicts == http::MergeAsk::Conflicts::theirs;
  }

  const TreeReader theirs_, base_, ours_;
  const map::ShardPos position_;
  const http::MergeAsk& ask_;
  http::MergeInfo& info_;
  shard::EditRequest& part_;
  shard::ChunkCells from_, to_;
  std::vector<shard::Swap> swaps_;
  Status outcome_;
};

}  // namespace

Result<MergePlan> plan_merge(const PinsGather& states, const http::MergeAsk& ask) {
  MergePlan plan;
  std::size_t bytes = 0;
  for (const PinsGather::Shard& shard : states.found) {
    const Result<std::unique_ptr<io::ReadOnlyMapping>> file =
        io::ReadOnlyMapping::open(shard.path, io::Reads::here_and_there);
    if (!file) return file.error();
    auto part = std::make_unique<shard::EditRequest>();
    part->shard = {states.states[2].line, shard.position};
    if (const Status compared = ShardMerge((*file)->bytes(), shard, ask, plan.info, *part).run(); !compared)
      return Error{compared.error().code, shard.path + ": " + compared.error().message};
    if ((*file)->faulted())
      return Error{ErrorCode::internal, shard.path + " was cut off while it was read; stop the server and restore it"};
    bytes += shard::bytes_of(part->swaps);
    if (!part->swaps.empty()) plan.parts.push_back(std::move(part));
  }
  if (bytes > shard::kSwapBytesMax && !ask.preview)
    return Error{ErrorCode::too_large,
                 fmt::format("this merge changes so many different cells that it would take {} MiB of log; at most {}: "
                             "merge it area by area ({{\"area\": [x, y, width, height]}})",
                             bytes >> 20, shard::kSwapBytesMax >> 20)};
  return plan;
}

}  // namespace terrazzo::app

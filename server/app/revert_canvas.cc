#include "server/app/revert_canvas.h"

#include <fmt/format.h>

#include <algorithm>

#include "map/edit_apply.h"

namespace terrazzo::app {
namespace {

constexpr map::ChunkPos chunk_in(std::int32_t y, std::int32_t x) {
  return {x, y};
}

bool uniform(const shard::ChunkCells& cells) {
  return std::ranges::all_of(cells, [&](map::Cell cell) { return cell == cells[0]; });
}

// Calls visit(index in the chunk) for the cells of `part`, which lies in the chunk.
template <class Visit>
void for_each_cell(const map::Rect& part, map::ChunkPos chunk, Visit&& visit) {
  const map::Rect whole = map::cells_of(chunk);
  for (std::int64_t y = part.y0; y < part.y1; ++y)
    for (std::int64_t x = part.x0; x < part.x1; ++x)
      visit(static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + (x - whole.x0)));
}

}  // namespace

Status RevertCanvas::expect(map::LayerId layer, const map::Rect& rect) {
  const map::Rect part = rect.intersect(area_);
  if (part.empty()) return {};
  const map::Rect chunks = map::chunks_of(part);
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
      chunks_.try_emplace({layer, static_cast<std::int32_t>(y), static_cast<std::int32_t>(x)});
  if (chunks_.size() <= kChunksMax) return {};
  return Error{ErrorCode::too_large,
               fmt::format("these edits touch more than {} chunks of 32×32 cells in one shard: revert area by area",
                           kChunksMax)};
}

bool RevertCanvas::concerns(map::LayerId layer, const map::Rect& rect) const {
  constexpr std::uint64_t kFew = 16;
  const map::Rect chunks = map::chunks_of(rect.intersect(area_));
  if (chunks.area() > kFew) return true;
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
      if (chunks_.contains({layer, static_cast<std::int32_t>(y), static_cast<std::int32_t>(x)})) return true;
  return false;
}

void RevertCanvas::take(Cell& cell, map::Cell before, map::Cell after, std::optional<std::uint16_t> author) {
  switch (cell.past) {
    case Past::untouched:
      cell = {after, before, author.value_or(0), author ? Past::reverted : Past::others};
      return;
    case Past::reverted:
      author ? void(cell.before = before) : void(cell.past = Past::bounded);
      return;
    case Past::others:
      if (!author) return;
      cell.before = before;
      cell.past = Past::painted_over;
      return;
    case Past::painted_over:
      author ? void(cell.before = before) : void(cell.past = Past::settled);
      return;
    case Past::bounded:
    case Past::settled:
    case Past::lost:
    case Past::unknown:
      return;
  }
}

void RevertCanvas::forget(Cell& cell, bool reverted) {
  if (cell.past == Past::untouched) cell.past = reverted ? Past::lost : Past::unknown;
  if (cell.past == Past::others) cell.past = Past::unknown;
  if (cell.past == Past::reverted) cell.past = Past::bounded;
  if (cell.past == Past::painted_over) cell.past = Past::settled;
}

Status RevertCanvas::open(Chunk& chunk) {
  if (chunk.cells) return {};
  if (++open_ > kOpenChunksMax) {
    return Error{ErrorCode::too_large, fmt::format("these edits and those of others around them changed cells of more "
                                                   "than {} chunks of 32×32 cells in one shard: revert area by area",
                                                   kOpenChunksMax)};
  }
  chunk.cells = std::make_unique<Cells>();
  chunk.cells->fill(chunk.all);
  return {};
}

Status RevertCanvas::catch_up(const Key& key, Chunk& chunk) {
  const auto [layer, y, x] = key;
  for (; chunk.forgotten < forgotten_.size(); ++chunk.forgotten) {
    const Forgotten& next = forgotten_[chunk.forgotten];
    const map::Rect whole = map::cells_of(chunk_in(y, x)), part = next.rect.intersect(whole);
    if (next.layer != layer || part.empty()) continue;
    if (!chunk.cells && part == whole) {
      forget(chunk.all, next.reverted);
      continue;
    }
    if (Status opened = open(chunk); !opened) return opened;
    for_each_cell(part, chunk_in(y, x), [&](std::size_t i) { forget((*chunk.cells)[i], next.reverted); });
  }
  return {};
}

Status RevertCanvas::change(map::LayerId layer, map::ChunkPos chunk, const shard::ChunkCells& before,
                            const shard::ChunkCells& after, std::optional<std::uint16_t> author) {
  const auto found = chunks_.find({layer, chunk.y, chunk.x});
  if (found == chunks_.end()) return {};
  Chunk& known = found->second;
  if (Status caught_up = catch_up(found->first, known); !caught_up) return caught_up;
  const map::Rect whole = map::cells_of(chunk), part = whole.intersect(area_);
  if (!known.cells && part == whole && before[0] != after[0] && uniform(before) && uniform(after)) {
    take(known.all, before[0], after[0], author);
    return {};
  }
  if (before == after) return {};
  if (Status opened = open(known); !opened) return opened;
  for_each_cell(part, chunk, [&](std::size_t i) {
    if (before[i] != after[i]) take((*known.cells)[i], before[i], after[i], author);
  });
  return {};
}

void RevertCanvas::forget(map::LayerId layer, const map::Rect& rect, bool reverted) {
  const map::Rect part = rect.intersect(area_);
  if (!part.empty()) forgotten_.push_back({layer, part, reverted});
}

Status RevertCanvas::finish(http::RevertInfo& info, std::vector<std::uint64_t>& cells_of, Arena& arena,
                            std::vector<shard::Swap>& swaps) {
  for (auto& [key, chunk] : chunks_) {
    if (Status caught_up = catch_up(key, chunk); !caught_up) return caught_up;
    count(key, chunk, info, cells_of);
    const auto [layer, y, x] = key;
    shard::add_swaps(layer, chunk_in(y, x), from_, to_, arena, swaps);
  }
  chunks_.clear();
  return {};
}

// Leaves the chunk's cells in from_ and to_, where they are to become something else.
void RevertCanvas::count(const Key& key, const Chunk& chunk, http::RevertInfo& info,
                         std::vector<std::uint64_t>& cells_of) {
  const auto [layer, y, x] = key;
  const map::Rect whole = map::cells_of(chunk_in(y, x)), part = whole.intersect(area_);
  http::RevertInfo::Area area{layer, {whole.x1, whole.y1, whole.x0, whole.y0}, 0, 0};
  from_.fill({});
  to_.fill({});
  for_each_cell(part, chunk_in(y, x), [&](std::size_t i) {
    const Cell& cell = chunk.cells ? (*chunk.cells)[i] : chunk.all;
    const bool reverts = cell.past == Past::reverted || cell.past == Past::bounded;
    const bool over = cell.past == Past::painted_over || cell.past == Past::settled;
    if (cell.past == Past::lost) ++info.lost;
    if (!reverts && !over) return;
    if (cell.now == cell.before) {
      ++info.same;
      return;
    }
    const std::int64_t cell_x = whole.x0 + static_cast<std::int64_t>(i) % map::kChunkSize;
    const std::int64_t cell_y = whole.y0 + static_cast<std::int64_t>(i) / map::kChunkSize;
    area.rect = {std::min(area.rect.x0, cell_x), std::min(area.rect.y0, cell_y), std::max(area.rect.x1, cell_x + 1),
                 std::max(area.rect.y1, cell_y + 1)};
    ++(reverts ? area.cells : area.skipped);
    if (!reverts) return;
    from_[i] = cell.now;
    to_[i] = cell.before;
    ++cells_of[cell.author];
  });
  info.cells += area.cells;
  info.skipped += area.skipped;
  if (area.cells + area.skipped == 0) return;
  ++info.all_areas;
  if (info.areas.size() < http::RevertInfo::kAreasMax) info.areas.push_back(area);
}

}  // namespace terrazzo::app

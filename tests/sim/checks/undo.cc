#include "tests/sim/checks/undo.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "tests/sim/playground.h"

namespace terrazzo::sim {

void SlateModel::wrote(EditId edit, std::span<const int> cells, std::uint32_t value) {
  for (const int cell : cells)
    changes_[edit].push_back({cell, std::exchange(cells_[static_cast<std::size_t>(cell)], value), value});
  counting_.push_back(edit);
  undone_.clear();
}

void SlateModel::overwritten(std::span<const int> cells, std::uint32_t value) {
  for (const int cell : cells) cells_[static_cast<std::size_t>(cell)] = value;
}

std::optional<EditId> SlateModel::newest(bool redo) const {
  const std::vector<EditId>& from = redo ? undone_ : counting_;
  return from.empty() ? std::nullopt : std::optional(from.back());
}

SlateModel::Count SlateModel::take_back(EditId edit, bool redo) {
  std::vector<EditId>& from = redo ? undone_ : counting_;
  const auto found = std::ranges::find(from, edit);
  TZ_ASSERT(found != from.end());
  from.erase(found);
  (redo ? counting_ : undone_).push_back(edit);
  Count count;
  std::vector<Change> back;
  for (const Change& change : changes_[edit]) {
    std::uint32_t& cell = cells_[static_cast<std::size_t>(change.cell)];
    const std::uint64_t many = change.cell == kMural ? kMuralSize * kMuralSize : 1;
    if (cell != change.to) {
      count.skipped += many;
      continue;
    }
    count.restored += many;
    cell = change.from;
    back.push_back({change.cell, change.to, change.from});
  }
  changes_[edit] = std::move(back);
  return count;
}

int SlateModel::shards_of(EditId edit) const {
  std::set<int> shards;
  const auto found = changes_.find(edit);
  if (found == changes_.end()) return 0;
  for (const Change& change : found->second)
    shards.insert(change.cell == kMural ? 0 : change.cell / kSlateCellsPerShard);
  return static_cast<int>(shards.size());
}

void check_slate(int slate, const SlateModel& model, Truth& truth, Verdict& verdict) {
  const auto compare = [&](map::CellPos at, std::uint32_t should) {
    const auto is = truth.cell(kDiary, kLayers[0], at);
    if (is && *is != should)
      verdict.fail(
          "undo restores what still holds its author's value, once",
          fmt::format("{},{} of slate {} holds {}, and {} is what a plain model says", at.x, at.y, slate, *is, should));
  };
  for (int cell = 0; cell < SlateModel::kMural; ++cell) compare(slate_cell(slate, cell), model.cell(cell));
  const map::Rect wall = mural(slate);
  for (const std::int64_t x : {wall.x0, wall.x0 + kMuralSize / 2, wall.x1 - 1})
    for (const std::int64_t y : {wall.y0, wall.y0 + kMuralSize / 2, wall.y1 - 1})
      compare({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}, model.cell(SlateModel::kMural));
}

}  // namespace terrazzo::sim

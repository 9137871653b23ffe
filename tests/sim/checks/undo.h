#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "tests/sim/truth.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Cells of a slate (playground.h) as a plain model says they are: its author's edits, undos and redos, one after
// another, and what somebody else writes between. An undo restores what still holds the author's value and skips the
// rest; it takes back the newest edit that counts; an edit ends what could be redone; and each is done once.
class SlateModel {
 public:
  // The last "cell" is the author's mural, all of it.
  static constexpr int kCells = 9, kMural = 8;
  struct Count {
    std::uint64_t restored = 0, skipped = 0;
    bool operator==(const Count&) const = default;
  };

  void wrote(EditId edit, std::span<const int> cells, std::uint32_t value);
  void overwritten(std::span<const int> cells, std::uint32_t value);
  // What undo (redo) without a name is about; nothing: there is none.
  std::optional<EditId> newest(bool redo) const;
  const std::vector<EditId>& counting() const { return counting_; }
  const std::vector<EditId>& undone() const { return undone_; }
  Count take_back(EditId edit, bool redo);
  std::uint32_t cell(int at) const { return cells_[static_cast<std::size_t>(at)]; }
  // In how many shards it changed something, by its newest record.
  int shards_of(EditId edit) const;

 private:
  struct Change {
    int cell;
    std::uint32_t from, to;
  };
  std::array<std::uint32_t, kCells> cells_{};
  std::map<EditId, std::vector<Change>> changes_;  // by the newest record about the edit
  std::vector<EditId> counting_, undone_;          // the newest last; of undone ones, those that can be redone
};

// The cells hold what the model says.
void check_slate(int slate, const SlateModel& model, Truth& truth, Verdict& verdict);

}  // namespace terrazzo::sim

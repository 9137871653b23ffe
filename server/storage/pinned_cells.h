#pragma once

#include <vector>

#include "server/storage/page_file.h"
#include "server/storage/position.h"

namespace terrazzo::storage {

// Which pages of cells and blobs the pins of a shard reach, in the regions for which somebody has asked in vain: asking
// hundreds of versions again for each page of a region costs an edit tens of microseconds (docs/decisions/0006). A page
// hangs at one place only, so a bit for each page does for all regions.
class PinnedCells {
 public:
  // Positions of cells and blobs.
  bool knows(const Position& at) const { return !regions_.empty() && regions_[at.last_leaf()]; }
  bool reaches(PageNo page) const { return page < pages_.size() && pages_[page]; }
  bool knows_any() const { return !regions_.empty(); }

  // The region at `at` is known from here on; what pins have there is said by reach().
  void learn(const Position& at, PageNo pages_of_file) {
    constexpr std::size_t kLeaves = 0x10000;  // layers × regions
    regions_.resize(kLeaves);
    regions_[at.last_leaf()] = true;
    if (pages_.size() < pages_of_file) pages_.resize(pages_of_file);
  }
  void reach(PageNo page) { pages_[page] = true; }
  void forget() {
    regions_.clear();
    pages_.clear();
  }

 private:
  std::vector<bool> regions_, pages_;
};

}  // namespace terrazzo::storage

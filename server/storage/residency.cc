#include "server/storage/residency.h"

#include <algorithm>
#include <utility>

namespace terrazzo::storage {

void Residency::cover(PageNo pages, bool present) {
  if (pages <= pages_) return;
  extents_.resize((pages + kExtentPages - 1) / kExtentPages);
  if (present)
    for (PageNo page = pages_; page < pages; ++page) add(page);
  pages_ = pages;
}

void Residency::add(PageNo page) {
  Extent& extent = extents_[page / kExtentPages];
  extent.present |= bit(page);
  ++resident_;
  if (!std::exchange(extent.told, true)) new_extents_.push_back(page / kExtentPages);
}

void Residency::tell_again() {
  new_extents_.clear();
  for (PageNo extent = 0; extent < extents_.size(); ++extent)
    if (extents_[extent].told) new_extents_.push_back(extent);
}

bool Residency::is_damaged(PageNo page) const {
  return std::ranges::find(damaged_, page) != damaged_.end();
}

std::uint64_t Residency::release(PageNo extent) {
  Extent& at = extents_[extent];
  const std::uint64_t gone = at.present & ~at.nodes;
  at.present &= at.nodes;
  at.told = false;
  resident_ -= static_cast<PageNo>(std::popcount(gone));
  return gone;
}

}  // namespace terrazzo::storage

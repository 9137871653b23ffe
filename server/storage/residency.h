#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "server/storage/page_file.h"

namespace terrazzo::storage {

// A page that must be brought into memory before it is touched. `crc`: of what it must hold; 0: not known.
struct ColdPage {
  PageNo page = 0;
  std::uint32_t crc = 0;
};

// What looking ahead found: nodes hide what is below them, so after bringing these pages one looks again.
struct Missing {
  std::vector<ColdPage> pages;
  std::optional<PageNo> damaged;  // one whose bytes were not what they must be
  void clear() {
    pages.clear();
    damaged.reset();
  }
  bool nothing() const { return pages.empty() && !damaged; }
};

// Which pages of a shard's file are in memory and proven, as far as this process brought them or made them, so that a
// core can tell before it touches one whether it would wait for the disk: asking the kernel (mincore) costs 500 ns a
// page, this a few. The kernel may still take pages away when memory is short; then a touch waits after all. By extents
// of 64 pages, which is also the unit of release. Owned by one core.
class Residency {
 public:
  static constexpr PageNo kExtentPages = 64;

  // The file has `pages` pages; those that are new here are present or not.
  void cover(PageNo pages, bool present);

  bool is_present(PageNo page) const { return (extents_[page / kExtentPages].present & bit(page)) != 0; }
  // The page is about to be used: whether it is present.
  bool touch(PageNo page) {
    Extent& extent = extents_[page / kExtentPages];
    extent.used = true;
    return (extent.present & bit(page)) != 0;
  }
  // A node, or something else that stays: release() leaves it in memory.
  bool touch_node(PageNo page) {
    Extent& extent = extents_[page / kExtentPages];
    extent.nodes |= bit(page);
    extent.used = true;
    return (extent.present & bit(page)) != 0;
  }
  // It gets new bytes, which no root on disk has yet.
  void written(PageNo page) {
    Extent& extent = extents_[page / kExtentPages];
    extent.nodes &= ~bit(page);
    extent.written = epoch_;
    extent.used = true;
    if ((extent.present & bit(page)) == 0) add(page);
  }
  void brought(PageNo page) {
    if ((extents_[page / kExtentPages].present & bit(page)) == 0) add(page);
  }
  void damaged(PageNo page) { damaged_.push_back(page); }
  bool is_damaged(PageNo page) const;

  // As for PagePool: what was written before a root began is on disk when it is durable.
  void root_begun() { root_epoch_ = epoch_++; }
  void root_durable() { clean_epoch_ = root_epoch_; }

  // ---- release, for whoever keeps a budget ----
  PageNo resident() const { return resident_; }
  // Extents that have come to hold pages since the last call; each is told once until it is released.
  template <class Visit>
  void take_new_extents(Visit&& visit) {
    for (const PageNo extent : new_extents_) visit(extent);
    new_extents_.clear();
  }
  // Every extent that holds pages counts as new again: somebody else keeps the budget from now on.
  void tell_again();
  // Whether the extent was used since this was asked last.
  bool take_used(PageNo extent) {
    const bool used = extents_[extent].used;
    extents_[extent].used = false;
    return used;
  }
  // All of it is on disk, too.
  bool is_clean(PageNo extent) const { return extents_[extent].written <= clean_epoch_; }
  // Its pages but the nodes are not present any more; a bit for each.
  std::uint64_t release(PageNo extent);

 private:
  struct Extent {
    std::uint64_t present = 0, nodes = 0;
    std::uint32_t written = 0;  // epoch
    bool used = false;
    bool told = false;  // by take_new_extents()
  };
  static constexpr std::uint64_t bit(PageNo page) { return std::uint64_t{1} << page % kExtentPages; }
  void add(PageNo page);

  std::vector<Extent> extents_;
  std::vector<PageNo> new_extents_;
  std::vector<PageNo> damaged_;
  PageNo pages_ = 0;
  PageNo resident_ = 0;
  std::uint32_t epoch_ = 1, root_epoch_ = 0, clean_epoch_ = 0;  // of checkpoints
};

}  // namespace terrazzo::storage

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/storage/page_file.h"
#include "server/storage/residency.h"

namespace terrazzo::storage {

// Fills in the checksums and revisions that a checkpoint keeps, bottom up, in slices: the trees are pinned, so edits go
// on beside it. Pages that have a checksum have been done, with all below them.
class ChecksumWalk {
 public:
  ChecksumWalk(PageFile& file, Residency& residency) : file_(file), residency_(residency) {}

  void begin(std::vector<shardfile::Entry> tops);
  // Computes the checksums of about `pages` pages; true: there is more. With `missing`: stops before a page that is not
  // present. That is rare: a node copied while the checkpoint before ran leads to pages that one has proven, but does
  // not say so.
  bool step(std::size_t pages, Missing* missing);
  // As begun, with checksums and revisions, once step() has returned false.
  const std::vector<shardfile::Entry>& tops() const { return tops_; }

 private:
  // A node on the way down; what it hangs from is entry `parent_index` of the frame before, or of tops_.
  struct Frame {
    PageNo page;
    std::uint32_t parent_index;
    std::uint32_t next;
    std::uint64_t newest;
  };
  shardfile::Entry& entry_of(const Frame& frame, std::size_t depth);
  void finish(shardfile::Entry& entry, std::uint64_t newest);
  bool is_missing(const shardfile::Entry& entry, Missing* missing);
  // Whether a frame was pushed.
  bool enter(shardfile::Entry& entry, std::uint32_t index, std::size_t depth);
  shardfile::Node& node(PageNo page) { return *reinterpret_cast<shardfile::Node*>(bytes(page)); }
  std::byte* bytes(PageNo page) { return file_.base() + std::size_t{page} * kPageBytes; }

  PageFile& file_;
  Residency& residency_;
  std::vector<shardfile::Entry> tops_;
  std::size_t next_top_ = 0;
  std::vector<Frame> path_;
};

}  // namespace terrazzo::storage

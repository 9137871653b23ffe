#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "shardfile/page_layout.h"

namespace terrazzo::storage {

using shardfile::kPageBytes;
using shardfile::PageNo;

// A mapped file of pages that grows by whole extents. Implemented by io/mmap_page_file (mmap'd, fallocate'd) and by the
// tests' file with faults. Used by the owner core only. Making pages durable is not here: the store says when it wants
// a sync (CheckpointStep) and whoever drives it reports back, so that no call of the store blocks.
class PageFile {
 public:
  virtual ~PageFile() = default;
  // The mapping. Stays put between calls of grow(), which may move it: keep page numbers, not pointers, across it.
  virtual std::byte* base() = 0;
  virtual PageNo page_count() const = 0;
  // At least `pages` pages exist afterwards, all backed by disk space (never sparse: a hole on a full disk is a
  // SIGBUS). overloaded: the disk is full; read_only: the file is not whole any more. Nothing changed then.
  virtual Status grow(PageNo pages) = 0;
  // Whether pages of the file may lack disk space, because it was copied sparsely. They read as zeros; before such a
  // page is written, back() must have given it space. overloaded: the disk is full.
  virtual bool has_holes() const { return false; }
  virtual Status back([[maybe_unused]] PageNo first, [[maybe_unused]] PageNo count) { return {}; }
};

}  // namespace terrazzo::storage

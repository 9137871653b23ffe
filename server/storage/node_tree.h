#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "server/storage/page_layout.h"
#include "server/storage/page_pool.h"
#include "server/storage/shard_store.h"

namespace terrazzo::storage {

// Layer directory → region nodes → leaf nodes → cell pages, copied on write (shadow paging: Lorie 1977; LMDB).
//  1. A page whose entry's revision is at or before pin() is never written: a root reaches it.
//  2. Every other page on the way to a change is changed in place.
class NodeTree {
 public:
  NodeTree(PageFile& file, PagePool& pool) : file_(file), pool_(pool) {}

  ChunkRead read(std::uint8_t layer, std::uint16_t chunk) const;
  std::uint32_t* write(std::uint8_t layer, std::uint16_t chunk);
  void fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value);
  void fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value);
  void fill_layer(std::uint8_t layer, std::uint32_t value);

  void begin_edit(std::uint64_t lsn) { lsn_ = lsn; }
  std::uint64_t lsn() const { return lsn_; }
  std::uint64_t pin() const { return pin_; }
  // Fills in checksums and revisions of everything changed since the last pin, and pins the present state.
  void pin_now();

  const Entry& top() const { return top_; }
  // After open.
  void adopt(const Entry& top, std::uint64_t lsn);

  // Walks nodes (and cell pages, if asked), checking pages and checksums of what is pinned; marks each page once.
  // internal: says which page is wrong and how.
  Status walk(std::vector<bool>& used, bool check_cells) const;

 private:
  Node& node(PageNo page) const { return *reinterpret_cast<Node*>(file_.base() + std::size_t{page} * kPageBytes); }
  std::uint32_t* words(PageNo page) const {
    return reinterpret_cast<std::uint32_t*>(file_.base() + std::size_t{page} * kPageBytes);
  }
  bool writable(const Entry& entry) const { return entry.tag() == Tag::page && entry.revision() > pin_; }
  // Makes the node below `entry` one that may be changed.
  Node& own(Entry& entry);
  Node& own_leaf(std::uint8_t layer, std::uint8_t region);
  void drop_page(const Entry& entry);
  // `levels` of nodes are below the entry: 0 for a cell page.
  void drop(const Entry& entry, int levels);
  void finish(Entry& entry, int levels);
  Status walk(const Entry& entry, int levels, std::vector<bool>& used, bool check_cells) const;

  PageFile& file_;
  PagePool& pool_;
  Entry top_;
  std::uint64_t lsn_ = 0;
  std::uint64_t pin_ = 0;
  // The leaf of the last write: strokes stay in one region.
  std::uint32_t last_key_ = kNoKey;
  PageNo last_leaf_ = 0;
  static constexpr std::uint32_t kNoKey = ~0u;
};

}  // namespace terrazzo::storage

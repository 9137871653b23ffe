#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "server/storage/page_file.h"
#include "server/storage/page_pool.h"
#include "server/storage/pin_set.h"
#include "server/storage/position.h"
#include "server/storage/shard_store.h"

namespace terrazzo::storage {

// The tree of one head: layer directory → region nodes → leaf nodes → cell pages, copied on write (shadow paging: Lorie
// 1977; LMDB).
//  1. A page whose entry's revision is at or before pinned_lsn() is never written: a root or a pin may reach it.
//  2. Every other page on the way to a change is changed in place.
class NodeTree {
 public:
  NodeTree(PageFile& file, PagePool& pool, PinSet& pins) : file_(file), pool_(pool), pins_(pins) {}

  ChunkRead read(std::uint8_t layer, std::uint16_t chunk) const;
  PageNo blob(std::uint8_t layer, std::uint16_t chunk) const;  // its first page; 0: none
  std::uint32_t* write(std::uint8_t layer, std::uint16_t chunk);
  void fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value);
  void fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value);
  void fill_layer(std::uint8_t layer, std::uint32_t value);
  void write_blob(std::uint8_t layer, std::uint16_t chunk, std::span<const std::byte> bytes);
  std::uint64_t restore(const shardfile::Entry& from, std::uint8_t layer, const ChunkRect& chunks);

  void begin_edit(std::uint64_t lsn) {
    // What the edit before shared with a pin has that edit's revision and must not be taken for private.
    if (restored_) pin_now();
    lsn_ = lsn;
  }
  std::uint64_t lsn() const { return lsn_; }
  // restore() is the last thing an edit does.
  bool restored() const { return restored_; }
  std::uint64_t pinned_lsn() const { return pinned_lsn_; }
  // What that will be once the next edit has begun.
  std::uint64_t next_pinned_lsn() const { return restored_ ? lsn_ : pinned_lsn_; }
  // The present state stays as it is.
  void pin_now() {
    pinned_lsn_ = lsn_;
    last_key_ = kNoKey;
    restored_ = false;
  }

  const shardfile::Entry& top() const { return top_; }
  // After open, and of a new branch.
  void adopt(const shardfile::Entry& top, std::uint64_t lsn) {
    top_ = top;
    lsn_ = lsn;
    pin_now();
  }
  // The checksum and revision that a checkpoint has found for the top.
  void finished(const shardfile::Entry& top) {
    if (top_.tag() == top.tag() && top_.value == top.value && top_.revision() <= pinned_lsn_) top_ = top;
  }

 private:
  using Entry = shardfile::Entry;
  using Node = shardfile::Node;
  Node& node(PageNo page) const { return *reinterpret_cast<Node*>(bytes(page)); }
  std::uint32_t* words(PageNo page) const { return reinterpret_cast<std::uint32_t*>(bytes(page)); }
  std::byte* bytes(PageNo page) const { return file_.base() + std::size_t{page} * kPageBytes; }
  bool is_private(const Entry& entry) const { return entry.has_page() && entry.revision() > pinned_lsn_; }
  // Makes the node below `entry` one that may be changed.
  Node& own(Entry& entry, const Position& at);
  Node& own_leaf(std::uint8_t layer, std::uint8_t region);
  // This tree does not reach the entry's page (or blob) any more; what lies below stays.
  void let_go(const Entry& entry, const Position& at);
  // Nor anything below.
  void drop(const Entry& entry, const Position& at);
  std::uint64_t restore_leaf(const Entry& from, std::uint8_t layer, std::uint8_t region, const ChunkRect& part);

  PageFile& file_;
  PagePool& pool_;
  PinSet& pins_;
  Entry top_;
  std::uint64_t lsn_ = 0;
  std::uint64_t pinned_lsn_ = 0;
  bool restored_ = false;  // by the present edit, which changes nothing else from then on
  // The leaf of the last write: strokes stay in one region.
  std::uint32_t last_key_ = kNoKey;
  PageNo last_leaf_ = 0;
  static constexpr std::uint32_t kNoKey = ~0u;
};

}  // namespace terrazzo::storage

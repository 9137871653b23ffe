#include "server/storage/node_tree.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/canary.h"

namespace terrazzo::storage {

using shardfile::index_of;
using shardfile::kNodeEntries;
using shardfile::kNodeLevels;
using shardfile::kPageWords;
using shardfile::region_of;
using shardfile::Tag;

namespace {

constexpr Position leaf_at(std::uint8_t layer, std::uint8_t region) {
  return Position{}.below(layer).below(region);
}

}  // namespace

ChunkRead NodeTree::read(std::uint8_t layer, std::uint16_t chunk) const {
  const std::uint8_t path[] = {layer, region_of(chunk), index_of(chunk)};
  Entry entry = top_;
  for (const std::uint8_t step : path) {
    if (entry.tag() != Tag::page) break;
    entry = node(entry.value)[step];
  }
  if (entry.tag() == Tag::page) return {words(entry.value), 0, Lsn{entry.revision()}};
  return {nullptr, entry.tag() == Tag::blob ? 0 : entry.value, Lsn{entry.revision()}};
}

PageNo NodeTree::blob(std::uint8_t layer, std::uint16_t chunk) const {
  const std::uint8_t path[] = {layer, region_of(chunk), index_of(chunk)};
  Entry entry = top_;
  for (const std::uint8_t step : path) {
    if (entry.tag() != Tag::page) return 0;
    entry = node(entry.value)[step];
  }
  return entry.tag() == Tag::blob ? entry.value : 0;
}

// ---- changing ----

void NodeTree::let_go(const Entry& entry, const Position& at) {
  const auto each_page = [&](auto&& visit) {
    if (entry.tag() == Tag::blob) return for_each_blob_page(file_, entry.value, visit);
    visit(entry.value);
  };
  if (is_private(entry)) return each_page([&](PageNo page) { pool_.give_back(page); });
  const bool may_be_held = !canary::is(canary::Bug::pinned_page_freed);
  if (may_be_held && entry.revision() <= pins_.shared_lsn() && pins_.held(entry.value, at, this)) return;
  each_page([&](PageNo page) { pool_.retire(page); });
}

NodeTree::Node& NodeTree::own(Entry& entry, const Position& at) {
  if (is_private(entry)) return node(entry.value);
  const PageNo fresh = pool_.take();
  if (entry.tag() == Tag::page) {
    std::memcpy(&node(fresh), &node(entry.value), kPageBytes);
    let_go(entry, at);
  } else {
    // What was one entry is now 256, each as old as the one was.
    node(fresh).fill(Entry::make(entry.tag(), entry.revision(), entry.value));
  }
  entry = Entry::make(Tag::page, lsn_, fresh);
  return node(fresh);
}

NodeTree::Node& NodeTree::own_leaf(std::uint8_t layer, std::uint8_t region) {
  const std::uint32_t key = std::uint32_t{layer} << 8 | region;
  if (key == last_key_) return node(last_leaf_);
  Node& directory = own(top_, {});
  Node& regions = own(directory[layer], Position{}.below(layer));
  Node& leaf = own(regions[region], leaf_at(layer, region));
  last_key_ = key;
  last_leaf_ = regions[region].value;
  return leaf;
}

std::uint32_t* NodeTree::write(std::uint8_t layer, std::uint16_t chunk) {
  TZ_ASSERT(!restored_);
  const std::uint8_t region = region_of(chunk), index = index_of(chunk);
  Entry& entry = own_leaf(layer, region)[index];
  if (is_private(entry) && entry.tag() == Tag::page) {
    if (!canary::is(canary::Bug::revision_not_raised)) entry.set_revision(lsn_);
    return words(entry.value);
  }
  const PageNo fresh = pool_.take();
  if (entry.tag() == Tag::page) {
    std::memcpy(words(fresh), words(entry.value), kPageBytes);
  } else {
    std::fill_n(words(fresh), kPageWords, entry.tag() == Tag::blob ? 0 : entry.value);
  }
  if (entry.has_page()) let_go(entry, leaf_at(layer, region).below(index));
  entry = Entry::make(Tag::page, lsn_, fresh);
  return words(fresh);
}

void NodeTree::fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value) {
  const std::uint8_t region = region_of(chunk), index = index_of(chunk);
  Entry& entry = own_leaf(layer, region)[index];
  if (entry.has_page()) let_go(entry, leaf_at(layer, region).below(index));
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value) {
  last_key_ = kNoKey;
  Entry& entry = own(own(top_, {})[layer], Position{}.below(layer))[region];
  drop(entry, leaf_at(layer, region));
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::fill_layer(std::uint8_t layer, std::uint32_t value) {
  last_key_ = kNoKey;
  Entry& entry = own(top_, {})[layer];
  drop(entry, Position{}.below(layer));
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::write_blob(std::uint8_t layer, std::uint16_t chunk, std::span<const std::byte> bytes_in) {
  const std::uint8_t region = region_of(chunk), index = index_of(chunk);
  Entry& entry = own_leaf(layer, region)[index];
  if (entry.has_page()) let_go(entry, leaf_at(layer, region).below(index));
  if (bytes_in.empty()) {
    entry = Entry::make(Tag::uniform, lsn_, 0);
    return;
  }
  using shardfile::BlobPage;
  constexpr std::size_t kContent = sizeof(BlobPage::content);
  // From the last page to the first, because a page holds its successor's checksum.
  std::size_t from = (bytes_in.size() - 1) / kContent * kContent;
  PageNo next = 0;
  std::uint32_t next_crc = 0;
  for (;;) {
    const PageNo page = pool_.take();
    auto& to = *reinterpret_cast<BlobPage*>(bytes(page));
    std::memset(&to, 0, sizeof to);
    to.next = next;
    to.next_crc = next_crc;
    to.bytes = static_cast<std::uint32_t>(bytes_in.size() - from);
    std::ranges::copy(bytes_in.subspan(from, std::min(kContent, bytes_in.size() - from)), to.content);
    next = page;
    next_crc = shardfile::page_checksum(bytes(page));
    if (from == 0) break;
    from -= kContent;
  }
  entry = Entry::make(Tag::blob, lsn_, next);
}

void NodeTree::drop(const Entry& entry, const Position& at) {
  if (!entry.has_page()) return;
  // Whoever reaches a node reaches everything below it.
  const bool shared = !is_private(entry) && entry.revision() <= pins_.shared_lsn();
  if (shared && pins_.held(entry.value, at, this)) return;
  if (at.level < kNodeLevels)
    for (unsigned i = 0; i < kNodeEntries; ++i) drop(node(entry.value)[i], at.below(static_cast<std::uint8_t>(i)));
  let_go(entry, at);
}

// ---- going back ----

// Nodes are written anew, because every chunk that differs is news of this edit for caches and comparisons; the pages
// of cells are shared with the pin.
std::uint64_t NodeTree::restore(const Entry& from, std::uint8_t layer, const ChunkRect& chunks) {
  pins_.share_for_good(lsn_);
  Entry regions = from.tag() == Tag::page ? node(from.value)[layer] : from;
  std::uint64_t differed = 0;
  for (int y = chunks.y0 & ~15; y < chunks.y1; y += 16) {
    for (int x = chunks.x0 & ~15; x < chunks.x1; x += 16) {
      const auto region = static_cast<std::uint8_t>((y >> 4) * 16 + (x >> 4));
      const Entry leaf = regions.tag() == Tag::page ? node(regions.value)[region] : regions;
      const ChunkRect part{std::max(x, chunks.x0) - x, std::max(y, chunks.y0) - y, std::min(x + 16, chunks.x1) - x,
                           std::min(y + 16, chunks.y1) - y};
      differed += restore_leaf(leaf, layer, region, part);
    }
  }
  restored_ = true;
  return differed;
}

std::uint64_t NodeTree::restore_leaf(const Entry& from, std::uint8_t layer, std::uint8_t region,
                                     const ChunkRect& part) {
  const auto same = [](const Entry& a, const Entry& b) {
    return a.has_page() || b.has_page() ? a.tag() == b.tag() && a.value == b.value : a.value == b.value;
  };
  const Position at = leaf_at(layer, region);
  Entry now = top_;
  for (const std::uint8_t step : {layer, region})
    if (now.tag() == Tag::page) now = node(now.value)[step];
  if (same(now, from)) return 0;
  std::uint64_t differed = 0;
  if (!from.has_page() && part.x0 == 0 && part.y0 == 0 && part.x1 == 16 && part.y1 == 16) {
    fill_region(layer, region, from.value);
    return kNodeEntries;
  }
  Node& leaf = own_leaf(layer, region);
  for (int y = part.y0; y < part.y1; ++y) {
    for (int x = part.x0; x < part.x1; ++x) {
      const auto index = static_cast<std::uint8_t>(y * 16 + x);
      const Entry wanted = from.tag() == Tag::page ? node(from.value)[index] : from;
      Entry& entry = leaf[index];
      if (same(entry, wanted)) continue;
      ++differed;
      if (entry.has_page()) let_go(entry, at.below(index));
      entry = wanted;
      if (!entry.has_page()) entry = Entry::make(Tag::uniform, 0, wanted.value);
      entry.set_revision(lsn_);
    }
  }
  return differed;
}

}  // namespace terrazzo::storage

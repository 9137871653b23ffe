#include "server/storage/node_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"

namespace terrazzo::storage {
namespace {

constexpr int kLevels = 3;  // nodes below the top: layer directory, region node, leaf

// A chunk's place: y * 256 + x in the shard → region (16×16 chunks) and index in it.
constexpr std::uint8_t region_of(std::uint16_t chunk) {
  return static_cast<std::uint8_t>((chunk >> 12 << 4) | (chunk >> 4 & 15));
}
constexpr std::uint8_t index_of(std::uint16_t chunk) {
  return static_cast<std::uint8_t>((chunk >> 8 & 15) << 4 | (chunk & 15));
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
  return {nullptr, entry.value, Lsn{entry.revision()}};
}

void NodeTree::drop_page(const Entry& entry) {
  if (entry.revision() > pin_) {
    pool_.give_back(entry.value);
  } else {
    pool_.retire(entry.value);
  }
}

Node& NodeTree::own(Entry& entry) {
  if (writable(entry)) return node(entry.value);
  const PageNo fresh = pool_.take();
  if (entry.tag() == Tag::page) {
    std::memcpy(&node(fresh), &node(entry.value), kPageBytes);
    drop_page(entry);
  } else {
    // What was one entry is now 256, each as old as the one was.
    node(fresh).fill(Entry::make(entry.tag(), entry.revision(), entry.value));
  }
  entry = Entry::make(Tag::page, lsn_, fresh);
  return node(fresh);
}

Node& NodeTree::own_leaf(std::uint8_t layer, std::uint8_t region) {
  const std::uint32_t key = std::uint32_t{layer} << 8 | region;
  if (key == last_key_) return node(last_leaf_);
  Node& directory = own(top_);
  Node& regions = own(directory[layer]);
  Node& leaf = own(regions[region]);
  last_key_ = key;
  last_leaf_ = regions[region].value;
  return leaf;
}

std::uint32_t* NodeTree::write(std::uint8_t layer, std::uint16_t chunk) {
  Entry& entry = own_leaf(layer, region_of(chunk))[index_of(chunk)];
  if (writable(entry)) {
    entry.set_revision(lsn_);
    return words(entry.value);
  }
  const PageNo fresh = pool_.take();
  if (entry.tag() == Tag::page) {
    std::memcpy(words(fresh), words(entry.value), kPageBytes);
    drop_page(entry);
  } else {
    std::fill_n(words(fresh), kPageWords, entry.value);
  }
  entry = Entry::make(Tag::page, lsn_, fresh);
  return words(fresh);
}

void NodeTree::fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value) {
  Entry& entry = own_leaf(layer, region_of(chunk))[index_of(chunk)];
  if (entry.tag() == Tag::page) drop_page(entry);
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value) {
  last_key_ = kNoKey;
  Entry& entry = own(own(top_)[layer])[region];
  drop(entry, 1);
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::fill_layer(std::uint8_t layer, std::uint32_t value) {
  last_key_ = kNoKey;
  Entry& entry = own(top_)[layer];
  drop(entry, 2);
  entry = Entry::make(Tag::uniform, lsn_, value);
}

void NodeTree::drop(const Entry& entry, int levels) {
  if (entry.tag() != Tag::page) return;
  if (levels > 0)
    for (const Entry& child : node(entry.value)) drop(child, levels - 1);
  drop_page(entry);
}

// Bottom up; what is not newer than the last pin has been finished then.
void NodeTree::finish(Entry& entry, int levels) {
  if (!writable(entry)) return;
  if (levels > 0) {
    std::uint64_t newest = 0;
    for (Entry& child : node(entry.value)) {
      finish(child, levels - 1);
      newest = std::max(newest, child.revision());
    }
    entry.set_revision(std::max(newest, entry.revision()));
  }
  entry.crc = crc32c({file_.base() + std::size_t{entry.value} * kPageBytes, kPageBytes});
}

void NodeTree::pin_now() {
  finish(top_, kLevels);
  pin_ = lsn_;
  last_key_ = kNoKey;
}

void NodeTree::adopt(const Entry& top, std::uint64_t lsn) {
  top_ = top;
  lsn_ = pin_ = lsn;
  last_key_ = kNoKey;
}

Status NodeTree::walk(std::vector<bool>& used, bool check_cells) const {
  return walk(top_, kLevels, used, check_cells);
}

Status NodeTree::walk(const Entry& entry, int levels, std::vector<bool>& used, bool check_cells) const {
  const auto wrong = [&](const char* how) {
    return Error{ErrorCode::internal,
                 fmt::format("page {} (at byte {}): {}", entry.value, std::size_t{entry.value} * kPageBytes, how)};
  };
  if (entry.revision() > lsn_) return wrong("it is newer than the store");
  if (entry.tag() == Tag::empty || entry.tag() == Tag::uniform) return {};
  if (entry.tag() != Tag::page) return wrong("its entry is of no known kind");
  if (entry.value < kRootSlots || entry.value >= used.size()) return wrong("it lies outside the file");
  if (used[entry.value]) return wrong("it is reached twice");
  used[entry.value] = true;
  const bool checked = entry.revision() <= pin_ && (levels > 0 || check_cells);
  if (checked && entry.crc != crc32c({file_.base() + std::size_t{entry.value} * kPageBytes, kPageBytes}))
    return wrong("its checksum is wrong");
  if (levels == 0) return {};
  for (const Entry& child : node(entry.value))
    if (Status ok = walk(child, levels - 1, used, check_cells); !ok) return ok;
  return {};
}

}  // namespace terrazzo::storage

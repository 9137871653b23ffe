#include "server/storage/pin_set.h"

#include <algorithm>

#include "base/assert.h"
#include "server/storage/node_tree.h"
#include "server/storage/page_look.h"

namespace terrazzo::storage {

using shardfile::Entry;
using shardfile::kNodeEntries;
using shardfile::Tag;

namespace {

constexpr std::uint32_t kLeaves = 0x10000;  // layers × regions

}  // namespace

PinInfo& PinSet::add(const PinInfo& pin) {
  if (pin.kind != PinKind::snapshot) ++changes_;
  share(pin.lsn.value);
  pins_.push_back({pin, 0});
  return pins_.back().info;
}

PinInfo* PinSet::find(PinKind kind, std::uint64_t id, HeadId head) {
  for (Pin& pin : pins_)
    if (pin.info.kind == kind && pin.info.id == id && pin.info.head == head && !pin.info.dropping) return &pin.info;
  return nullptr;
}

bool PinSet::drop(PinKind kind, std::uint64_t id, HeadId head) {
  PinInfo* const pin = find(kind, id, head);
  if (pin == nullptr) return false;
  pin->dropping = true;
  if (kind != PinKind::snapshot) ++changes_;
  return true;
}

void PinSet::drop_all(HeadId head) {
  for (Pin& pin : pins_)
    if (pin.info.head == head) pin.info.dropping = true;
  ++changes_;
}

PageNo PinSet::page_at(const Entry& top, const Position& at) const {
  const std::uint8_t path[] = {at.layer, at.region, at.index};
  Entry entry = top;
  for (int level = 0; level < at.level; ++level) {
    if (entry.tag() != Tag::page) return 0;
    entry = node(entry.value)[path[level]];
  }
  return entry.has_page() ? entry.value : 0;
}

bool PinSet::held(PageNo page, const Position& at, const NodeTree* but) const {
  // The newest pin is the most likely one.
  for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin)
    if (at.last_leaf() >= pin->cursor && page_at(pin->info.top, at) == page) return true;
  for (const NodeTree* head : heads_)
    if (head != but && page_at(head->top(), at) == page) return true;
  return false;
}

void PinSet::look_held(PageNo page, const Position& at, const NodeTree* but, PageLook& look) const {
  for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin)
    if (at.last_leaf() >= pin->cursor && look.leads_to(pin->info.top, at, page)) return;
  for (const NodeTree* head : heads_)
    if (head != but && look.leads_to(head->top(), at, page)) return;
}

bool PinSet::held_by_others(PageNo page, const Position& at, const Pin& than) const {
  for (const NodeTree* head : heads_)
    if (page_at(head->top(), at) == page) return true;
  for (const Pin& pin : pins_)
    if (&pin != &than && at.last_leaf() >= pin.cursor && page_at(pin.info.top, at) == page) return true;
  return false;
}

void PinSet::retire(const Entry& entry) {
  if (entry.tag() == Tag::blob) return for_each_blob_page(file_, entry.value, [&](PageNo page) { pool_.retire(page); });
  pool_.retire(entry.value);
}

// ---- giving back ----

PinSet::Pin* PinSet::dropping() {
  const auto found = std::ranges::find_if(pins_, [](const Pin& pin) { return pin.info.dropping; });
  return found == pins_.end() ? nullptr : &*found;
}

// One pin after the other: the others that are being dropped count as holders until it is their turn.
bool PinSet::reclaim(std::size_t entries, Residency& residency, Missing* missing) {
  std::size_t looked = 0;
  while (Pin* pin = dropping()) {
    if (looked >= entries) return true;
    if (missing != nullptr) {
      PageLook look(file_, residency, *missing);
      look_step(*pin, look);
      if (!missing->nothing()) return true;
    }
    looked += step(*pin);
  }
  return false;
}

// The path to the leaf, in every tree that may share a part of it; of blobs the chains, which are followed to be freed.
void PinSet::look_step(const Pin& pin, PageLook& look) const {
  if (pin.cursor == kLeaves) return;
  const auto layer = static_cast<std::uint8_t>(pin.cursor >> 8), region = static_cast<std::uint8_t>(pin.cursor);
  const Access leaf{layer,
                    {(region & 15) * 16, (region >> 4) * 16, (region & 15) * 16 + 16, (region >> 4) * 16 + 16},
                    Access::Depth::blobs,
                    {}};
  look.tree(pin.info.top, leaf, *this, nullptr);
  const Position regions_at = Position{}.below(layer), below = regions_at.below(region).below(0);
  for (const NodeTree* head : heads_) look.leads_to(head->top(), below, 0);
  for (const Pin& other : pins_) {
    if (&other == &pin) continue;
    // What another one that is being dropped has given back already is another page by now.
    if (below.last_leaf() >= other.cursor) {
      look.leads_to(other.info.top, below, 0);
    } else if (regions_at.last_leaf() >= other.cursor) {
      look.leads_to(other.info.top, regions_at, 0);
    }
  }
}

std::size_t PinSet::step(Pin& pin) {
  const bool kept = pin.info.kind != PinKind::snapshot;
  const Entry top = pin.info.top;
  const Position root;
  if (pin.cursor == kLeaves || top.tag() != Tag::page || held_by_others(top.value, root, pin)) {
    finish(pin);
    return 1;
  }
  if (kept) ++changes_;
  const std::uint32_t cursor = pin.cursor;
  const auto layer = static_cast<std::uint8_t>(cursor >> 8), region = static_cast<std::uint8_t>(cursor);
  const Entry regions = node(top.value)[layer];
  const Position regions_at = root.below(layer);
  std::size_t looked = 1;
  if (regions.tag() != Tag::page || (region == 0 && held_by_others(regions.value, regions_at, pin))) {
    pin.cursor = (cursor | 0xFF) + 1;
  } else {
    const Entry leaf = node(regions.value)[region];
    if (leaf.tag() == Tag::page) looked += drop_leaf(pin, leaf, regions_at.below(region));
    pin.cursor = cursor + 1;
    if (region == 0xFF && !held_by_others(regions.value, regions_at, pin)) pool_.retire(regions.value);
  }
  if (pin.cursor == kLeaves && !held_by_others(top.value, root, pin)) pool_.retire(top.value);
  return looked;
}

std::size_t PinSet::drop_leaf(const Pin& pin, const Entry& leaf, const Position& at) {
  if (held_by_others(leaf.value, at, pin)) return 1;
  // The walk down to the others' leaves is made once, not for each of 256 entries: most of these are held.
  find_leaves(pin, at);
  for (unsigned i = 0; i < kNodeEntries; ++i) {
    const Entry entry = node(leaf.value)[i];
    if (!entry.has_page()) continue;
    const bool held = std::ranges::any_of(other_leaves_, [&](PageNo other) {
      const Entry there = node(other)[i];
      return there.has_page() && there.value == entry.value;
    });
    if (!held) retire(entry);
  }
  pool_.retire(leaf.value);
  return kNodeEntries * (1 + other_leaves_.size());
}

void PinSet::find_leaves(const Pin& than, const Position& at) {
  other_leaves_.clear();
  const auto add = [&](const Entry& top) {
    const PageNo leaf = page_at(top, at);
    if (leaf != 0 && std::ranges::find(other_leaves_, leaf) == other_leaves_.end()) other_leaves_.push_back(leaf);
  };
  for (const NodeTree* head : heads_) add(head->top());
  for (const Pin& pin : pins_)
    if (&pin != &than && at.last_leaf() >= pin.cursor) add(pin.info.top);
}

void PinSet::finish(Pin& pin) {
  if (pin.info.kind != PinKind::snapshot) ++changes_;
  pins_.erase(pins_.begin() + (&pin - pins_.data()));
  if (for_good_) {
    if (pins_.empty() && heads_.size() == 1) {
      // Nobody is left to share with.
      for_good_ = false;
      shared_lsn_ = 0;
    }
    return;
  }
  shared_lsn_ = 0;
  for (const Pin& left : pins_) share(left.info.lsn.value);
}

}  // namespace terrazzo::storage

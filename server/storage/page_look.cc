#include "server/storage/page_look.h"

#include <algorithm>

#include "server/storage/node_tree.h"
#include "server/storage/pin_set.h"

namespace terrazzo::storage {

using shardfile::Entry;
using shardfile::Tag;

bool PageLook::wanted(PageNo page, std::uint32_t crc, bool present) {
  if (present) return true;
  if (residency_.is_damaged(page)) {
    missing_.damaged = page;
  } else {
    missing_.pages.push_back({page, crc});
  }
  return false;
}

bool PageLook::node(const Entry& entry) {
  return entry.tag() == Tag::page && wanted(entry.value, entry.crc, residency_.touch_node(entry.value));
}

void PageLook::chunk(const Entry& entry, Access::Depth depth) {
  if (entry.tag() == Tag::page && depth == Access::Depth::cells)
    wanted(entry.value, entry.crc, residency_.touch(entry.value));
  if (entry.tag() != Tag::blob) return;
  PageNo page = entry.value;
  std::uint32_t crc = entry.crc;
  while (page != 0 && wanted(page, crc, residency_.touch(page))) {
    const auto* at = reinterpret_cast<const shardfile::BlobPage*>(file_.base() + std::size_t{page} * kPageBytes);
    page = at->next;
    crc = at->next_crc;
  }
}

void PageLook::shared(const Entry& entry, const Position& at, const PinSet& pins, const NodeTree* changing) {
  if (changing == nullptr || !entry.has_page() || entry.revision() > changing->next_pinned_lsn()) return;
  if (entry.revision() <= pins.shared_lsn()) pins.look_held(entry.value, at, changing, *this);
}

void PageLook::tree(const Entry& top, const Access& access, const PinSet& pins, const NodeTree* changing) {
  const ChunkRect& chunks = access.chunks;
  if (!node(top)) return;
  shared(top, {}, pins, changing);
  const Entry regions = entry(top, access.layer);
  const Position regions_at = Position{}.below(access.layer);
  if (!node(regions)) return;
  shared(regions, regions_at, pins, changing);
  for (int y = chunks.y0 >> 4; y << 4 < chunks.y1; ++y) {
    for (int x = chunks.x0 >> 4; x << 4 < chunks.x1; ++x) {
      const auto region = static_cast<std::uint8_t>(y * 16 + x);
      const Entry leaf = entry(regions, region);
      const Position leaf_at = regions_at.below(region);
      if (!node(leaf)) continue;
      shared(leaf, leaf_at, pins, changing);
      if (access.depth == Access::Depth::nodes) continue;
      for (int cy = std::max(y << 4, chunks.y0); cy < std::min((y + 1) << 4, chunks.y1); ++cy) {
        for (int cx = std::max(x << 4, chunks.x0); cx < std::min((x + 1) << 4, chunks.x1); ++cx) {
          const auto index = static_cast<std::uint8_t>((cy & 15) * 16 + (cx & 15));
          const Entry& at = entry(leaf, index);
          if (!at.has_page()) continue;
          const auto number = static_cast<std::uint16_t>(cy * 256 + cx);
          if (access.wanted && !access.wanted(number, Lsn{at.revision()})) continue;
          chunk(at, access.depth);
          shared(at, leaf_at.below(index), pins, changing);
        }
      }
    }
  }
}

bool PageLook::leads_to(const Entry& top, const Position& at, PageNo page) {
  const std::uint8_t path[] = {at.layer, at.region, at.index};
  Entry now = top;
  for (int level = 0; level < at.level; ++level) {
    if (!node(now)) return false;
    now = entry(now, path[level]);
  }
  return now.has_page() && now.value == page;
}

}  // namespace terrazzo::storage

#include "server/shard/interest.h"

#include <algorithm>

#include "base/assert.h"
#include "base/canary.h"

namespace terrazzo::shard {
namespace {

constexpr std::size_t slot_of(int low_x, int low_y) {
  return static_cast<std::size_t>(low_y * 16 + low_x);
}

// visit(region, slot) for every chunk; chunks are walked region by region, so that empty regions are skipped whole.
template <class Visit>
void for_each_slot(const map::Rect& chunks, Visit&& visit) {
  for (std::int64_t ry = chunks.y0 >> 4; ry <= (chunks.y1 - 1) >> 4; ++ry)
    for (std::int64_t rx = chunks.x0 >> 4; rx <= (chunks.x1 - 1) >> 4; ++rx) {
      const map::Rect part = chunks.intersect(map::Rect::of_size(rx * 16, ry * 16, 16, 16));
      visit(static_cast<std::size_t>((ry & 15) * 16 + (rx & 15)), part);
    }
}

}  // namespace

void InterestIndex::count(CoreId core, int change) {
  watched_[core] += static_cast<std::uint32_t>(change);
  const CoreMask bit = CoreMask{1} << core;
  anybody_ = watched_[core] != 0 ? anybody_ | bit : anybody_ & ~bit;
}

void InterestIndex::add(CoreId core, proto::Form form, const map::Rect& chunks) {
  TZ_ASSERT(core < kCoresMax && !chunks.empty());
  const CoreMask bit = CoreMask{1} << core;
  for_each_slot(chunks, [&](std::size_t index, const map::Rect& part) {
    std::unique_ptr<Region>& region = regions_[index];
    if (!region) region = std::make_unique<Region>();
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x) {
        CoreMask& mask =
            region->masks[slot_of(static_cast<int>(x & 15), static_cast<int>(y & 15))][static_cast<std::size_t>(form)];
        if ((mask & bit) == 0) count(core, 1);
        mask |= bit;
      }
  });
}

void InterestIndex::remove(CoreId core, proto::Form form, map::ChunkPos chunk) {
  const std::size_t index = static_cast<std::size_t>(((chunk.y >> 4) & 15) * 16 + ((chunk.x >> 4) & 15));
  if (!regions_[index]) return;
  CoreMask& mask = regions_[index]->masks[slot_of(chunk.x & 15, chunk.y & 15)][static_cast<std::size_t>(form)];
  const CoreMask bit = CoreMask{1} << core;
  if ((mask & bit) != 0) count(core, -1);
  mask &= ~bit;
  if (canary::is(canary::Bug::wrong_interest_bit))
    for (CoreMask& other : regions_[index]->masks[slot_of(chunk.x & 15, chunk.y & 15)]) other &= ~bit;
}

CoreMask InterestIndex::viewers(proto::Form form, const map::Rect& chunks) const {
  CoreMask found = 0;
  if (anybody_ == 0) return found;
  for_each_slot(chunks, [&](std::size_t index, const map::Rect& part) {
    const Region* region = regions_[index].get();
    if (region == nullptr || found == anybody_) return;
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x)
        found |=
            region->masks[slot_of(static_cast<int>(x & 15), static_cast<int>(y & 15))][static_cast<std::size_t>(form)];
  });
  return found;
}

}  // namespace terrazzo::shard

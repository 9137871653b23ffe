#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "map/coords.h"
#include "proto/messages.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

// Which cores have viewers of each chunk of one shard, by form: the first of the two levels of fan-out. Regions of
// 16×16 chunks that nobody watches cost nothing.
class InterestIndex {
 public:
  // `chunks`: inside the shard, in the world's chunk coordinates.
  void add(CoreId core, proto::Form form, const map::Rect& chunks);
  void remove(CoreId core, proto::Form form, map::ChunkPos chunk);
  // Cores with a viewer of any of these chunks.
  CoreMask viewers(proto::Form form, const map::Rect& chunks) const;
  // Cores with a viewer of anything here.
  CoreMask anybody() const { return anybody_; }

 private:
  static constexpr int kRegionShift = 4;
  static constexpr int kRegionChunks = 1 << kRegionShift;
  struct Region {
    std::array<std::array<CoreMask, 2>, kRegionChunks * kRegionChunks> masks{};
  };
  void count(CoreId core, int change);

  std::array<std::unique_ptr<Region>, 256> regions_;
  std::array<std::uint32_t, kCoresMax> watched_{};  // bits set, by core
  CoreMask anybody_ = 0;
};

}  // namespace terrazzo::shard

#include "server/shard/interest.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace terrazzo::shard {
namespace {

TEST(InterestIndex, AgreesWithAMapOfChunks) {
  std::mt19937 random(3);
  InterestIndex index;
  std::map<std::pair<map::ChunkPos, int>, CoreMask> model;
  const map::ChunkPos origin = map::origin_of(map::ShardPos{-1, 2});
  const auto pick_rect = [&] {
    const auto x = origin.x + static_cast<int>(random() % 250), y = origin.y + static_cast<int>(random() % 250);
    return map::Rect::of_size(x, y, 1 + random() % 6, 1 + random() % 6);
  };
  for (int i = 0; i < 400; ++i) {
    const map::Rect rect = pick_rect();
    const auto core = static_cast<CoreId>(random() % 64);
    const int form = static_cast<int>(random() % 2);
    const bool add = random() % 3 != 0;
    if (add) index.add(core, static_cast<proto::Form>(form), rect);
    CoreMask all = 0;
    for (std::int64_t y = rect.y0; y < rect.y1; ++y)
      for (std::int64_t x = rect.x0; x < rect.x1; ++x) {
        const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
        CoreMask& mask = model[{chunk, form}];
        if (add) {
          mask |= CoreMask{1} << core;
        } else {
          mask &= ~(CoreMask{1} << core);
          index.remove(core, static_cast<proto::Form>(form), chunk);
        }
        all |= mask;
      }
    ASSERT_EQ(index.viewers(static_cast<proto::Form>(form), rect), all);
    CoreMask anybody = 0;
    for (const auto& [key, mask] : model) anybody |= mask;
    ASSERT_EQ(index.anybody(), anybody);
  }
}

}  // namespace
}  // namespace terrazzo::shard

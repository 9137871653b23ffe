// Painters that copy and flood, in one shard and over shards.
#include <algorithm>
#include <utility>

#include "tests/sim/simulation.h"

namespace terrazzo::sim {

map::Rect Simulation::some_place(const map::Rect& in, std::int64_t size_max) {
  const std::int64_t w = copy_random_.between(1, std::min(size_max, in.width())),
                     h = copy_random_.between(1, std::min(size_max, in.height()));
  return map::Rect::of_size(copy_random_.between(in.x0, in.x1 - w), copy_random_.between(in.y0, in.y1 - h), w, h);
}

// What comes of these is for the checks that replicas and stores agree.
void Simulation::copy_or_flood(Actor& actor) {
  // In one of the four shards, where ops may come one upon the other; or anywhere, and alone.
  const bool alone = copy_random_.chance(0.6);
  const bool right = copy_random_.chance(0.5), below = copy_random_.chance(0.5);
  const map::Rect area =
      alone ? kFree : map::Rect{right ? 0 : kFree.x0, below ? 0 : kFree.y0, right ? kFree.x1 : 0, below ? kFree.y1 : 0};
  const auto cell = [&] { return map::Cell{static_cast<std::uint32_t>(copy_random_.below(5))}; };
  const auto layer = [&] { return kLayers[copy_random_.below(2)]; };
  const auto corner = [](const map::Rect& rect) {
    return map::CellPos{static_cast<std::int32_t>(rect.x0), static_cast<std::int32_t>(rect.y0)};
  };
  client::EditDraft draft;
  for (std::int64_t ops = alone ? 1 : copy_random_.between(1, 3); ops > 0; --ops) {
    const map::Rect cells = some_place(area, copy_random_.chance(0.2) ? 90 : 12);
    if (copy_random_.chance(0.5)) {
      const map::Rect bounds = some_place(area, 190);
      draft.flood(layer(), corner(some_place(bounds, 1)), cell(), bounds);
      continue;
    }
    const map::Turn turn =
        map::Turn::of(static_cast<map::Flip>(copy_random_.below(4)), static_cast<unsigned>(copy_random_.below(4)));
    const std::int64_t side = std::max(cells.width(), cells.height());
    const map::CellPos to{static_cast<std::int32_t>(copy_random_.between(area.x0, area.x1 - side)),
                          static_cast<std::int32_t>(copy_random_.between(area.y0, area.y1 - side))};
    draft.copy(layer(), cells, layer(), to, turn);
    if (!alone) draft.fill(layer(), some_place(area, 6), cell());
  }
  submit_painting(actor, draft);
}

}  // namespace terrazzo::sim

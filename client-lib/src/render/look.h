#pragma once

#include <cstdint>

#include "map/world.h"

namespace terrazzo::render {

// How a layer is drawn: its own look on top of those of the groups it is in.
struct Look {
  bool visible = true;
  float opacity = 1;                  // 0 to 1
  std::uint32_t tint = 0xFFFFFFFF;    // ARGB, multiplied
  double offset_x = 0, offset_y = 0;  // pixels; finite, at most 1e9 in both directions
};

// Safe for any world: groups that contain each other, or opacities that are no numbers, hide the layer.
Look look_of(const map::World& world, const map::Layer& layer);

}  // namespace terrazzo::render

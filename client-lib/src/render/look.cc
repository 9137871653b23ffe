#include "client-lib/src/render/look.h"

#include <algorithm>
#include <cmath>

namespace terrazzo::render {
namespace {

std::uint32_t multiplied(std::uint32_t a, std::uint32_t b) {
  std::uint32_t out = 0;
  for (int shift = 0; shift < 32; shift += 8) out |= ((a >> shift & 0xFF) * (b >> shift & 0xFF) / 255) << shift;
  return out;
}

}  // namespace

Look look_of(const map::World& world, const map::Layer& layer) {
  Look look{layer.visible, layer.opacity, layer.tint, layer.offset_x, layer.offset_y};
  const map::Layer* at = &layer;
  for (int depth = 0; at->parent && (at = world.find_layer(*at->parent)) != nullptr; ++depth) {
    if (depth == map::kLayersMax) return {.visible = false};  // the groups go round in a circle
    look.visible = look.visible && at->visible;
    look.opacity *= at->opacity;
    look.tint = multiplied(look.tint, at->tint);
    look.offset_x += at->offset_x;
    look.offset_y += at->offset_y;
  }
  look.visible = look.visible && look.opacity > 0;
  // Pictures that far away are not seen; positions stay exact, whatever a file says.
  constexpr double kFar = 1e9;
  for (double* offset : {&look.offset_x, &look.offset_y})
    *offset = std::isfinite(*offset) ? std::clamp(*offset, -kFar, kFar) : 0;
  return look;
}

}  // namespace terrazzo::render

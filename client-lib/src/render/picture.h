#pragma once

#include <cstdint>

#include "terrazzo/render.h"

namespace terrazzo::render {

// 16 MiB of canvas: small beside a picture, large beside the tiles that reach from one part into the next.
inline constexpr std::uint64_t kPartPixels = std::uint64_t{1} << 22;

// draw(), a part of about so many pixels (before scaling) at a time. The picture does not depend on it.
Result<Image> draw_in_parts(const map::World& world, const TileArt& art, const CellReader& cells, const View& view,
                            std::uint64_t part_pixels);

}  // namespace terrazzo::render

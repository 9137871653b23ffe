#pragma once

#include <cstdint>

#include "terrazzo/render.h"

namespace terrazzo::render {

// 64 MiB of canvas: small beside a picture, large beside the tiles that reach from one band into the next.
inline constexpr std::uint64_t kBandPixels = std::uint64_t{1} << 24;

// draw(), a band of about so many pixels (before scaling) at a time. The picture does not depend on it.
Result<Image> draw_in_bands(const map::World& world, const TileArt& art, const CellReader& cells, const View& view,
                            std::uint64_t band_pixels);

}  // namespace terrazzo::render

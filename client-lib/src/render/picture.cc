#include "client-lib/src/render/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "client-lib/src/render/blit.h"
#include "client-lib/src/render/draw_list.h"
#include "client-lib/src/render/grid.h"
#include "client-lib/src/render/scale.h"
#include "map/formats/json_reader.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

using Color = std::array<std::uint8_t, 4>;

// The world's background, premultiplied; nothing where it has none. Tiled draws it under everything.
Color background(const map::World& world) {
  const formats::Json extra = formats::extra_object(world.extra);
  const auto color = extra.find("backgroundcolor");
  if (color == extra.end() || !color->is_string()) return {};
  const std::string text = color->get<std::string>();
  if (text.size() != 7 && text.size() != 9) return {};
  const auto value = static_cast<std::uint32_t>(std::strtoul(text.c_str() + 1, nullptr, 16));
  const std::uint32_t alpha = text.size() == 9 ? value >> 24 : 255;
  const auto channel = [&](int shift) { return static_cast<std::uint8_t>((value >> shift & 0xFF) * alpha / 255); };
  return {channel(16), channel(8), channel(0), static_cast<std::uint8_t>(alpha)};
}

void fill(Image& canvas, Color color) {
  if (color == Color{}) {
    std::ranges::fill(canvas.rgba, std::uint8_t{0});
  } else {
    for (std::size_t i = 0; i < canvas.rgba.size(); i += 4) std::ranges::copy(color, canvas.rgba.data() + i);
  }
}

Error too_large(std::int64_t width, std::int64_t height) {
  return {ErrorCode::too_large,
          fmt::format("a picture of {}×{} pixels; at most {} in all: draw a smaller part, or at a smaller scale", width,
                      height, kPixelsMax)};
}

}  // namespace

Result<Image> draw(const map::World& world, const TileArt& art, const CellReader& cells, const View& view) {
  return draw_in_bands(world, art, cells, view, kBandPixels);
}

Result<Image> draw_in_bands(const map::World& world, const TileArt& art, const CellReader& cells, const View& view,
                            std::uint64_t band_pixels) {
  if (view.cells.empty()) return Error{ErrorCode::bad_message, "the view is empty: it has at least one cell"};
  if (!(view.scale > 0)) return Error{ErrorCode::bad_message, "a scale is above 0"};
  if (view.cells.width() > (std::int64_t{1} << 24) || view.cells.height() > (std::int64_t{1} << 24))
    return Error{ErrorCode::too_large, fmt::format("a view of {}×{} cells is too large to draw; show a part of it",
                                                   view.cells.width(), view.cells.height())};
  const Grid::Box box = Grid(world).box(view.cells);
  // Beyond this a row of pixels alone would be too much.
  if (box.width > static_cast<std::int64_t>(kPixelsMax) || box.height > static_cast<std::int64_t>(kPixelsMax))
    return too_large(box.width, box.height);
  const double width = std::max(1.0, std::round(static_cast<double>(box.width) * view.scale));
  const double height = std::max(1.0, std::round(static_cast<double>(box.height) * view.scale));
  if (width * height > static_cast<double>(kPixelsMax)) return too_large(box.width, box.height);
  Image out{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), {}};
  out.rgba.resize(std::size_t{out.width} * out.height * 4);
  const Scaling across{static_cast<std::uint64_t>(box.width), out.width},
      down{static_cast<std::uint64_t>(box.height), out.height};
  const Color color = background(world);
  Image band{static_cast<std::uint32_t>(box.width), 0, {}};
  for (std::uint32_t row = 0, end = 0; row < out.height; row = end) {
    // As many rows as fit, at least one.
    for (end = row + 1; end < out.height && (down.end(end) - down.first(row)) * band.width <= band_pixels; ++end)
      continue;
    const std::uint64_t y = down.first(row), rows = down.end(end - 1) - y;
    if (rows * band.width > kPixelsMax) return too_large(box.width, box.height);
    band.height = static_cast<std::uint32_t>(rows);
    band.rgba.resize(std::size_t{band.width} * band.height * 4);
    fill(band, color);
    draw_list(world, art, cells, view.cells, {static_cast<std::int64_t>(y), static_cast<std::int64_t>(rows)},
              [&](const DrawCommand& command) { blit(command, band); });
    scale_rows(band, y, across, down, row, end, out);
  }
  straighten(out);
  return out;
}

}  // namespace terrazzo::render

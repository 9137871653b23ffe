#include <fmt/format.h>

#include <algorithm>
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

// The world's background, where it has one: Tiled draws it under everything.
void paint_background(const map::World& world, Image& canvas) {
  const formats::Json extra = formats::extra_object(world.extra);
  const auto color = extra.find("backgroundcolor");
  if (color == extra.end() || !color->is_string()) return;
  const std::string text = color->get<std::string>();
  if (text.size() != 7 && text.size() != 9) return;
  const auto value = static_cast<std::uint32_t>(std::strtoul(text.c_str() + 1, nullptr, 16));
  const std::uint32_t alpha = text.size() == 9 ? value >> 24 : 255;
  const std::uint32_t red = (value >> 16 & 0xFF) * alpha / 255, green = (value >> 8 & 0xFF) * alpha / 255,
                      blue = (value & 0xFF) * alpha / 255;
  for (std::size_t i = 0; i + 3 < canvas.rgba.size(); i += 4) {
    canvas.rgba[i] = static_cast<std::uint8_t>(red);
    canvas.rgba[i + 1] = static_cast<std::uint8_t>(green);
    canvas.rgba[i + 2] = static_cast<std::uint8_t>(blue);
    canvas.rgba[i + 3] = static_cast<std::uint8_t>(alpha);
  }
}

}  // namespace

Result<Image> draw(const map::World& world, const TileArt& art, const CellReader& cells, const View& view) {
  if (view.cells.empty()) return Error{ErrorCode::bad_message, "the view is empty: it has at least one cell"};
  if (view.cells.width() > (std::int64_t{1} << 24) || view.cells.height() > (std::int64_t{1} << 24))
    return Error{ErrorCode::too_large, fmt::format("a view of {}×{} cells is too large to draw; show a part of it",
                                                   view.cells.width(), view.cells.height())};
  const Grid::Box box = Grid(world).box(view.cells);
  const double width = std::max(1.0, std::round(static_cast<double>(box.width) * view.scale));
  const double height = std::max(1.0, std::round(static_cast<double>(box.height) * view.scale));
  const double pixels = std::max(static_cast<double>(box.width) * static_cast<double>(box.height), width * height);
  if (pixels > static_cast<double>(kPixelsMax)) {
    return Error{ErrorCode::too_large, fmt::format("a picture of {}×{} pixels; at most {} in all: draw a smaller part",
                                                   box.width, box.height, kPixelsMax)};
  }
  Image canvas{static_cast<std::uint32_t>(box.width), static_cast<std::uint32_t>(box.height), {}};
  canvas.rgba.resize(std::size_t{canvas.width} * canvas.height * 4);
  paint_background(world, canvas);
  draw_list(world, art, cells, view.cells, [&](const DrawCommand& command) { blit(command, canvas); });
  if (view.scale != 1)
    canvas = scaled_to(canvas, static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height));
  straighten(canvas);
  return canvas;
}

}  // namespace terrazzo::render

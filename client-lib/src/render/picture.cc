#include "client-lib/src/render/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include "client-lib/src/render/blit.h"
#include "client-lib/src/render/draw_list.h"
#include "client-lib/src/render/grid.h"
#include "client-lib/src/render/scale.h"
#include "client-lib/src/render/tile_reach.h"
#include "map/formats/json_reader.h"
#include "map/formats/world_json.h"
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

void fill(std::span<std::uint8_t> rgba, Color color) {
  for (std::size_t i = 0; i < rgba.size(); i += 4) std::ranges::copy(color, rgba.data() + i);
}

// More of either takes hours: 100,000 × 100,000 isometric cells of 64×32 pixels are 2^44.2, in six layers 2^35.8 cells.
constexpr std::uint64_t kArtPixelsMax = std::uint64_t{1} << 45, kCellsMax = std::uint64_t{1} << 36;

Error too_large(std::int64_t width, std::int64_t height, const char* what) {
  return {ErrorCode::too_large, fmt::format("a view of {}×{} pixels of art {}", width, height, what)};
}

// Whether positions of this view can be reckoned with.
Status check(const map::World& world, const View& view) {
  if (view.cells.empty()) return Error{ErrorCode::bad_message, "the view is empty: it has at least one cell"};
  if (!map::kPlane.contains(view.cells))
    return Error{ErrorCode::bad_message, "the view leaves the plane: its cells are from -2^31 to 2^31 - 1"};
  if (!(view.scale > 0)) return Error{ErrorCode::bad_message, "a scale is above 0"};
  if (view.cells.width() > (std::int64_t{1} << 24) || view.cells.height() > (std::int64_t{1} << 24))
    return Error{ErrorCode::too_large, fmt::format("a view of {}×{} cells is too large to draw; show a part of it",
                                                   view.cells.width(), view.cells.height())};
  constexpr std::uint32_t most = formats::kTilePixelsMax;
  if (world.tile_width < 1 || world.tile_height < 1 || world.tile_width > most || world.tile_height > most)
    return Error{ErrorCode::bad_message, fmt::format("the world's cells are {}×{} pixels; both sides are from 1 to {}",
                                                     world.tile_width, world.tile_height, most)};
  return {};
}

// The last pixel + 1 of those from `first` on that take at most so many of the art; at least one.
std::uint32_t end_of_part(Scaling scaling, std::uint32_t first, std::uint64_t art_pixels) {
  std::uint32_t end = first + 1;
  while (end < scaling.to && scaling.end(end) - scaling.first(first) <= art_pixels) ++end;
  return end;
}

// Calls `each` for blocks of the whole picture, until it says false. Their art is about square, so that little of it
// reaches from one into the next.
template <typename Each>
bool all_blocks(Scaling across, Scaling down, std::uint64_t part_pixels, const Each& each) {
  const auto side = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(part_pixels)));
  for (std::uint32_t y = 0, y_end = 0; y < down.to; y = y_end) {
    y_end = end_of_part(down, y, side);
    for (std::uint32_t x = 0, x_end = 0; x < across.to; x = x_end) {
      x_end = end_of_part(across, x, side);
      if (!each(Block{x, x_end, y, y_end})) return false;
    }
  }
  return true;
}

Grid::Box art_of(const Block& block, Scaling across, Scaling down) {
  const std::uint64_t x = across.first(block.x), y = down.first(block.y);
  return {static_cast<std::int64_t>(x), static_cast<std::int64_t>(y),
          static_cast<std::int64_t>(across.end(block.x_end - 1) - x),
          static_cast<std::int64_t>(down.end(block.y_end - 1) - y)};
}

// Draws one block of `out` after the other on one canvas.
class Painter {
 public:
  Painter(DrawList& list, Color background, Scaling across, Scaling down, Image& out)
      : list_(list), background_(background), across_(across), down_(down), out_(out) {}

  void paint(const Block& block) {
    const Grid::Box art = art_of(block, across_, down_);
    bool clean = true;
    list_.put_part(art, [&](const DrawCommand& command) {
      if (std::exchange(clean, false)) clear(art);
      blit(command, canvas_, art.x, art.y);
    });
    if (clean) return leave(block);
    scale_block(canvas_, across_, down_, block, out_);
  }

 private:
  void clear(const Grid::Box& art) {
    canvas_.width = static_cast<std::uint32_t>(art.width);
    canvas_.height = static_cast<std::uint32_t>(art.height);
    const std::size_t bytes = std::size_t{canvas_.width} * canvas_.height * 4;
    // A vector that grows would hold the old block beside one of twice its size.
    if (canvas_.rgba.capacity() < bytes) {
      canvas_.rgba = {};
      canvas_.rgba.reserve(bytes);
    }
    canvas_.rgba.resize(bytes);
    fill(canvas_.rgba, background_);
  }
  // Where nothing is drawn.
  void leave(const Block& block) {
    if (background_ == Color{}) return;
    for (std::uint32_t y = block.y; y < block.y_end; ++y)
      fill(std::span(out_.rgba).subspan((std::size_t{y} * out_.width + block.x) * 4,
                                        std::size_t{block.x_end - block.x} * 4),
           background_);
  }

  DrawList& list_;
  const Color background_;
  const Scaling across_, down_;
  Image& out_;
  Image canvas_;
};

}  // namespace

Result<Image> draw(const map::World& world, const TileArt& art, const CellReader& cells, const View& view) {
  return draw_in_parts(world, art, cells, view, kPartPixels);
}

Result<Image> draw_in_parts(const map::World& world, const TileArt& art, const CellReader& cells, const View& view,
                            std::uint64_t part_pixels) {
  if (Status checked = check(world, view); !checked) return checked.error();
  const Grid::Box box = Grid(world).box(view.cells);
  const double width = std::max(1.0, std::round(static_cast<double>(box.width) * view.scale));
  const double height = std::max(1.0, std::round(static_cast<double>(box.height) * view.scale));
  if (width * height > static_cast<double>(kPixelsMax))
    return too_large(box.width, box.height, "would be a picture of more than 2^27 pixels: draw it at a smaller scale");
  if (static_cast<double>(box.width) * static_cast<double>(box.height) > static_cast<double>(kArtPixelsMax))
    return too_large(box.width, box.height, "are more than 2^45: draw a part of it");
  const Scaling across{static_cast<std::uint64_t>(box.width), static_cast<std::uint64_t>(width)},
      down{static_cast<std::uint64_t>(box.height), static_cast<std::uint64_t>(height)};
  if ((across.from / across.to + 1) * (down.from / down.to + 1) > kPixelsMax)
    return too_large(box.width, box.height, "would be so small that 2^27 of them are one pixel: draw it larger");
  DrawList list(world, art, cells, view.cells);
  std::uint64_t left = kCellsMax;
  const bool feasible = all_blocks(across, down, part_pixels, [&](const Block& block) {
    const std::uint64_t count = list.cells_of_part(art_of(block, across, down));
    return count <= left && (left -= count, true);
  });
  if (!feasible) return too_large(box.width, box.height, "need a look at more than 2^36 cells: draw a part of it");
  Image out{static_cast<std::uint32_t>(across.to), static_cast<std::uint32_t>(down.to), {}};
  out.rgba.resize(std::size_t{out.width} * out.height * 4);
  Painter painter(list, background(world), across, down, out);
  all_blocks(across, down, part_pixels, [&](const Block& block) {
    painter.paint(block);
    return true;
  });
  straighten(out);
  return out;
}

map::Rect cells_shown(const map::World& world, const TileArt& art, const map::Layer& layer, const View& view) {
  const std::optional<TileReach> reach = tile_reach(world, art);
  const Look look = look_of(world, layer);
  if (layer.kind != map::LayerKind::tile || !look.visible || !reach || !check(world, view)) return {};
  const Grid grid(world);
  const map::Rect cells =
      grid.cells_in(reach->boxes(grid.box(view.cells), look.offset_x, look.offset_y)).intersect(world.area());
  return cells.empty() ? map::Rect{} : cells;
}

}  // namespace terrazzo::render

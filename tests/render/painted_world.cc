#include "painted_world.h"

#include <algorithm>

#include "map/formats/sha256.h"

namespace terrazzo::render {

std::string PaintedWorld::add_picture(std::uint32_t width, std::uint32_t height) {
  Image image{width, height, {}};
  for (std::uint64_t i = 0; i < std::uint64_t{width} * height; ++i) {
    const std::uint64_t value = random();
    for (const int shift : {0, 8, 16}) image.rgba.push_back(static_cast<std::uint8_t>(value >> shift));
    image.rgba.push_back((value >> 24) % 3 == 0 ? static_cast<std::uint8_t>(value >> 32) : std::uint8_t{255});
  }
  std::string png = *encode_png(image);
  const std::string hash = formats::sha256_hex(png);
  pngs_[hash] = std::move(png);
  return hash;
}

map::Tileset& PaintedWorld::add_tileset(std::uint32_t tile_width, std::uint32_t tile_height) {
  const std::uint32_t first = world.tile_end();
  map::Tileset& set = world.tilesets.emplace_back();
  set.first_tile = first;
  set.tile_count = set.columns = 2;
  set.tile_width = tile_width;
  set.tile_height = tile_height;
  set.image = {add_picture(2 * tile_width, tile_height), "painted.png", 2 * tile_width, tile_height};
  return set;
}

map::Layer& PaintedWorld::add_layer(map::LayerKind kind) {
  map::Layer& layer = world.layers.emplace_back();
  layer.id = static_cast<map::LayerId>(world.layers.size());
  layer.kind = kind;
  return layer;
}

void PaintedWorld::paint(const map::Rect& cells) {
  for (const map::Layer& layer : world.layers)
    for (std::int64_t y = cells.y0; y < cells.y1 && layer.kind == map::LayerKind::tile; ++y)
      for (std::int64_t x = cells.x0; x < cells.x1; ++x)
        if (pick(0, 2) == 0)
          cells_[layer.id][{y, x}] = map::Cell{static_cast<std::uint32_t>(pick(1, world.tile_end() - 1)) |
                                               static_cast<std::uint32_t>(pick(0, 15)) << 28};
}

TileArt PaintedWorld::art() const {
  return TileArt::load(world, [this](const map::Asset& asset) -> Result<std::string> {
    const auto found = pngs_.find(asset.hash);
    if (found == pngs_.end()) return Error{ErrorCode::not_found, "no such picture"};
    return found->second;
  });
}

CellReader PaintedWorld::reader() const {
  return [this](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
    cells_read += rect.area();
    std::ranges::fill(out, map::Cell{});
    const auto cells = cells_.find(layer);
    if (cells == cells_.end()) return;
    for (std::int64_t y = rect.y0; y < rect.y1; ++y) {
      const auto end = cells->second.lower_bound({y, rect.x1});
      for (auto at = cells->second.lower_bound({y, rect.x0}); at != end; ++at)
        out[static_cast<std::size_t>((y - rect.y0) * rect.width() + at->first.second - rect.x0)] = at->second;
    }
  };
}

}  // namespace terrazzo::render

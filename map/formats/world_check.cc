#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "map/cell.h"
#include "map/formats/json_reader.h"
#include "map/formats/text_check.h"
#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

Error bad(const std::string& message) {
  return {ErrorCode::bad_message, message};
}

Status check_name(std::string_view name, std::size_t bytes_max, const std::string& what) {
  if (name.size() > bytes_max)
    return bad(fmt::format("the name of {} has {} bytes; at most {} are allowed", what, name.size(), bytes_max));
  if (!is_text(name)) return bad(fmt::format("the name of {} is not UTF-8 text without NUL", what));
  return {};
}

Status check_extra(const std::string& extra, const std::string& what) {
  if (extra.empty()) return {};
  Result<Json> parsed = parse_json(extra, fmt::format("extra of {}", what));
  if (!parsed.ok()) return parsed.error();
  if (!parsed->is_object()) return bad(fmt::format("extra of {} is not a JSON object", what));
  return {};
}

Status check_asset(const map::Asset& asset, const std::string& what) {
  const bool hex = std::all_of(asset.hash.begin(), asset.hash.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!asset.hash.empty() && (asset.hash.size() != 64 || !hex))
    return bad(fmt::format("the image hash of {} is not 64 lower-case hex digits (SHA-256) or empty", what));
  return check_name(asset.name, kAssetNameBytesMax, fmt::format("the image of {}", what));
}

Status check_layers(const map::World& world) {
  if (world.layers.size() > map::kLayersMax)
    return Error{ErrorCode::too_large,
                 fmt::format("the world has {} layers; at most {} are allowed", world.layers.size(), map::kLayersMax)};
  std::array<const map::Layer*, map::kLayersMax> seen{};
  for (const map::Layer& layer : world.layers) {
    const std::string what = fmt::format("layer {}", layer.id);
    if (seen[layer.id] != nullptr) return bad(fmt::format("{} appears twice; layer ids must be unique", what));
    if (layer.parent && (seen[*layer.parent] == nullptr || seen[*layer.parent]->kind != map::LayerKind::group))
      return bad(fmt::format("the parent {} of {} is not a group layer listed before it", *layer.parent, what));
    seen[layer.id] = &layer;
    if (Status s = check_name(layer.name, kNameBytesMax, what); !s.ok()) return s;
    if (!(layer.opacity >= 0 && layer.opacity <= 1))
      return bad(fmt::format("the opacity of {} is {}; it must be from 0 to 1", what, layer.opacity));
    for (const float value : {layer.offset_x, layer.offset_y, layer.parallax_x, layer.parallax_y})
      if (!std::isfinite(value))
        return bad(fmt::format("an offset or parallax factor of {} is not a finite number", what));
    if (Status s = check_extra(layer.extra, what); !s.ok()) return s;
  }
  return {};
}

Status check_tileset(const map::Tileset& tileset, const std::string& what) {
  if (tileset.first_tile == 0) return bad(fmt::format("first_tile of {} is 0; tile 0 means an empty cell", what));
  if (std::uint64_t{tileset.first_tile} + tileset.tile_count > std::uint64_t{map::Cell::kTileMask} + 1)
    return Error{ErrorCode::too_large, fmt::format("{} ends at tile {}; tile indices end below 2^28", what,
                                                   std::uint64_t{tileset.first_tile} + tileset.tile_count)};
  if (tileset.tile_width > kTilePixelsMax || tileset.tile_height > kTilePixelsMax || tileset.margin > kTilePixelsMax ||
      tileset.spacing > kTilePixelsMax)
    return bad(fmt::format("tile size, margin or spacing of {} is over {} pixels", what, kTilePixelsMax));
  if (Status s = check_name(tileset.name, kNameBytesMax, what); !s.ok()) return s;
  if (Status s = check_asset(tileset.image, what); !s.ok()) return s;
  const map::CollectionTile* last = nullptr;
  for (const map::CollectionTile& tile : tileset.images) {
    if (tile.tile >= tileset.tile_count)
      return bad(fmt::format("{} has an image for tile {} but only {} tiles", what, tile.tile, tileset.tile_count));
    if (last != nullptr && tile.tile <= last->tile)
      return bad(
          fmt::format("the images of {} are not listed by increasing tile ({} after {})", what, tile.tile, last->tile));
    if (Status s = check_asset(tile.image, fmt::format("tile {} of {}", tile.tile, what)); !s.ok()) return s;
    last = &tile;
  }
  return check_extra(tileset.extra, what);
}

Status check_tilesets(const map::World& world) {
  if (world.tilesets.size() > kTilesetsMax)
    return Error{ErrorCode::too_large,
                 fmt::format("the world has {} tilesets; at most {} are allowed", world.tilesets.size(), kTilesetsMax)};
  std::vector<const map::Tileset*> by_first;
  for (std::size_t i = 0; i < world.tilesets.size(); ++i) {
    if (Status s = check_tileset(world.tilesets[i], fmt::format("tileset {}", i)); !s.ok()) return s;
    if (world.tilesets[i].tile_count > 0) by_first.push_back(&world.tilesets[i]);
  }
  std::sort(by_first.begin(), by_first.end(), [](auto* a, auto* b) { return a->first_tile < b->first_tile; });
  for (std::size_t i = 1; i < by_first.size(); ++i)
    if (by_first[i - 1]->first_tile + by_first[i - 1]->tile_count > by_first[i]->first_tile)
      return bad(fmt::format("the tilesets \"{}\" and \"{}\" overlap: tiles {} to {} and from {}",
                             by_first[i - 1]->name, by_first[i]->name, by_first[i - 1]->first_tile,
                             by_first[i - 1]->first_tile + by_first[i - 1]->tile_count - 1, by_first[i]->first_tile));
  return {};
}

}  // namespace

Status check_world(const map::World& world) {
  if (world.name.empty()) return bad("the name of the world is empty; give it at least one character");
  if (Status s = check_name(world.name, kNameBytesMax, "the world"); !s.ok()) return s;
  if (world.tile_width < 1 || world.tile_width > kTilePixelsMax || world.tile_height < 1 ||
      world.tile_height > kTilePixelsMax)
    return bad(fmt::format("a tile of {}×{} pixels; both sides must be from 1 to {}", world.tile_width,
                           world.tile_height, kTilePixelsMax));
  if (world.bounds && (world.bounds->empty() || !map::kPlane.contains(*world.bounds)))
    return bad("bounds are empty or leave the 32-bit plane");
  if (Status s = check_layers(world); !s.ok()) return s;
  if (Status s = check_tilesets(world); !s.ok()) return s;
  return check_extra(world.extra, "the world");
}

}  // namespace terrazzo::formats

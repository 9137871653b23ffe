#include "map/formats/world_json.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "map/cell.h"
#include "map/formats/json_fields.h"
#include "map/formats/json_reader.h"

namespace terrazzo::formats {
namespace {

constexpr std::array<std::string_view, 4> kOrientationNames = {"orthogonal", "isometric", "staggered", "hexagonal"};
constexpr std::array<std::string_view, 4> kLayerKindNames = {"tile", "object", "image", "group"};
constexpr std::int64_t kU32Max = std::numeric_limits<std::uint32_t>::max();
constexpr float kOffsetMax = 1e9f;  // pixels; the plane of 2^32 cells times 65536 pixels is of no use to a screen
constexpr float kParallaxMax = 1e6f;

Json asset_json(const map::Asset& asset) {
  return {{"hash", asset.hash}, {"name", asset.name}, {"width", asset.width}, {"height", asset.height}};
}

Json layer_json(const map::Layer& layer) {
  Json json = {{"id", layer.id},
               {"kind", layer_kind_name(layer.kind)},
               {"name", layer.name},
               {"opacity", shortest_double(layer.opacity)},
               {"visible", layer.visible},
               {"locked", layer.locked},
               {"tint", fmt::format("#{:08X}", layer.tint)},
               {"offset_x", shortest_double(layer.offset_x)},
               {"offset_y", shortest_double(layer.offset_y)},
               {"parallax_x", shortest_double(layer.parallax_x)},
               {"parallax_y", shortest_double(layer.parallax_y)},
               {"extra", extra_object(layer.extra)}};
  if (layer.parent) json["parent"] = *layer.parent;
  return json;
}

Json tileset_json(const map::Tileset& tileset) {
  Json images = Json::array();
  for (const map::CollectionTile& tile : tileset.images)
    images.push_back({{"tile", tile.tile}, {"image", asset_json(tile.image)}});
  return {{"first_tile", tileset.first_tile},
          {"tile_count", tileset.tile_count},
          {"name", tileset.name},
          {"tile_width", tileset.tile_width},
          {"tile_height", tileset.tile_height},
          {"columns", tileset.columns},
          {"margin", tileset.margin},
          {"spacing", tileset.spacing},
          {"draw_offset_x", tileset.draw_offset_x},
          {"draw_offset_y", tileset.draw_offset_y},
          {"image", asset_json(tileset.image)},
          {"images", std::move(images)},
          {"extra", extra_object(tileset.extra)}};
}

// One of the names, as its place in the list.
template <std::size_t N>
std::size_t read_name(JsonFields& fields, const char* key, const std::array<std::string_view, N>& names) {
  const Json* value = fields.find(key);
  if (value == nullptr) return 0;
  for (std::size_t i = 0; i < N; ++i)
    if (value->is_string() && value->get_ref<const std::string&>() == names[i]) return i;
  fields.fail(key, fmt::format("one of {}", fmt::join(names, ", ")));
  return 0;
}

WorldId read_world_id(JsonFields& fields) {
  const Json* value = fields.find("id");
  if (value == nullptr) return {};
  std::uint64_t id = 0;
  if (value->is_string()) {
    const std::string& text = value->get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc() && end == text.data() + text.size()) return WorldId{id};
  }
  fields.fail("id", "a string of decimal digits, below 2^64");
  return {};
}

std::uint32_t read_tint(JsonFields& fields) {
  const Json* value = fields.find("tint");
  if (value == nullptr) return 0xFFFFFFFF;
  std::uint32_t tint = 0;
  if (value->is_string()) {
    const std::string& text = value->get_ref<const std::string&>();
    const char* last = text.data() + text.size();
    if (text.size() == 9 && text[0] == '#')
      if (const auto [end, error] = std::from_chars(text.data() + 1, last, tint, 16);
          error == std::errc() && end == last)
        return tint;
  }
  fields.fail("tint", "a colour written #AARRGGBB");
  return 0xFFFFFFFF;
}

std::optional<map::Rect> read_bounds(JsonFields& fields) {
  const Json* value = fields.find("bounds");
  if (value == nullptr || value->is_null()) return {};
  constexpr std::int64_t side_max = std::int64_t{1} << 32;
  std::array<std::int64_t, 4> n{};
  bool good = value->is_array() && value->size() == 4;
  for (std::size_t i = 0; good && i < 4; ++i) {
    good = (*value)[i].is_number_integer();
    if (good) n[i] = (*value)[i].get<std::int64_t>();
    good = good && n[i] >= -side_max && n[i] <= side_max;
  }
  const map::Rect rect = map::Rect::of_size(n[0], n[1], n[2], n[3]);
  if (good && !rect.empty() && map::kPlane.contains(rect)) return rect;
  fields.fail("bounds", "[x, y, w, h] in cells, w and h at least 1, inside the 32-bit plane");
  return {};
}

Result<map::Asset> read_asset(const Json& json, const std::string& path) {
  JsonFields fields(json, path);
  map::Asset asset;
  asset.hash = fields.text("hash", 64, "");
  asset.name = fields.text("name", kAssetNameBytesMax, "");
  asset.width = fields.integer_as<std::uint32_t>("width", 0, kU32Max, 0);
  asset.height = fields.integer_as<std::uint32_t>("height", 0, kU32Max, 0);
  if (!fields.status().ok()) return fields.status().error();
  return asset;
}

Result<map::Layer> read_layer(const Json& json, const std::string& path) {
  JsonFields fields(json, path);
  map::Layer layer;
  layer.id = fields.integer_as<map::LayerId>("id", 0, map::kLayersMax - 1);
  layer.kind = static_cast<map::LayerKind>(read_name(fields, "kind", kLayerKindNames));
  if (const Json* parent = fields.find("parent"); parent != nullptr && !parent->is_null())
    layer.parent = fields.integer_as<map::LayerId>("parent", 0, map::kLayersMax - 1);
  layer.name = fields.text("name", kNameBytesMax, "");
  layer.opacity = fields.number("opacity", 0, 1, 1);
  layer.visible = fields.boolean("visible", true);
  layer.locked = fields.boolean("locked", false);
  layer.tint = read_tint(fields);
  layer.offset_x = fields.number("offset_x", -kOffsetMax, kOffsetMax, 0);
  layer.offset_y = fields.number("offset_y", -kOffsetMax, kOffsetMax, 0);
  layer.parallax_x = fields.number("parallax_x", -kParallaxMax, kParallaxMax, 1);
  layer.parallax_y = fields.number("parallax_y", -kParallaxMax, kParallaxMax, 1);
  layer.extra = fields.object_text("extra");
  if (!fields.status().ok()) return fields.status().error();
  return layer;
}

Status read_collection(const Json& images, const std::string& path, map::Tileset& tileset) {
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::string image_path = fmt::format("{}.images[{}]", path, i);
    JsonFields fields(images[i], image_path);
    map::CollectionTile tile;
    tile.tile = fields.integer_as<std::uint32_t>("tile", 0, map::Cell::kTileMask);
    if (!fields.has("image")) fields.fail("image", "an object with hash, name, width and height");
    if (!fields.status().ok()) return fields.status();
    Result<map::Asset> image = read_asset(*fields.find("image"), image_path + ".image");
    if (!image.ok()) return image.error();
    tile.image = std::move(image).value();
    tileset.images.push_back(std::move(tile));
  }
  return {};
}

Result<map::Tileset> read_tileset(const Json& json, const std::string& path) {
  JsonFields fields(json, path);
  map::Tileset tileset;
  tileset.first_tile = fields.integer_as<std::uint32_t>("first_tile", 1, map::Cell::kTileMask);
  tileset.tile_count = fields.integer_as<std::uint32_t>("tile_count", 0, map::Cell::kTileMask, 0);
  tileset.name = fields.text("name", kNameBytesMax, "");
  tileset.tile_width = fields.integer_as<std::uint32_t>("tile_width", 0, kTilePixelsMax, 0);
  tileset.tile_height = fields.integer_as<std::uint32_t>("tile_height", 0, kTilePixelsMax, 0);
  tileset.columns = fields.integer_as<std::uint32_t>("columns", 0, map::Cell::kTileMask, 0);
  tileset.margin = fields.integer_as<std::uint32_t>("margin", 0, kTilePixelsMax, 0);
  tileset.spacing = fields.integer_as<std::uint32_t>("spacing", 0, kTilePixelsMax, 0);
  tileset.draw_offset_x = fields.integer_as<std::int32_t>("draw_offset_x", INT32_MIN, INT32_MAX, 0);
  tileset.draw_offset_y = fields.integer_as<std::int32_t>("draw_offset_y", INT32_MIN, INT32_MAX, 0);
  tileset.extra = fields.object_text("extra");
  const Json* images = fields.array("images");
  if (!fields.status().ok()) return fields.status().error();
  if (const Json* image = fields.find("image")) {
    Result<map::Asset> asset = read_asset(*image, path + ".image");
    if (!asset.ok()) return asset.error();
    tileset.image = std::move(asset).value();
  }
  if (images != nullptr)
    if (Status status = read_collection(*images, path, tileset); !status.ok()) return status.error();
  return tileset;
}

// Reads each element of an array with `read` into `into`.
template <class T, class Read>
Status read_list(JsonFields& fields, const char* key, std::size_t count_max, Read read, std::vector<T>& into) {
  const Json* list = fields.array(key);
  if (!fields.status().ok()) return fields.status();
  if (list == nullptr) return {};
  if (list->size() > count_max)
    return Error{ErrorCode::too_large,
                 fmt::format("{} has {} elements; at most {} are allowed", key, list->size(), count_max)};
  into.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    Result<T> element = read((*list)[i], fmt::format("{}[{}]", key, i));
    if (!element.ok()) return element.error();
    into.push_back(std::move(element).value());
  }
  return {};
}

}  // namespace

std::string_view orientation_name(map::Orientation orientation) {
  return kOrientationNames[static_cast<std::size_t>(orientation)];
}

std::string_view layer_kind_name(map::LayerKind kind) {
  return kLayerKindNames[static_cast<std::size_t>(kind)];
}

std::string world_to_json(const map::World& world) {
  Json json = {{"id", std::to_string(world.id.value)},
               {"name", world.name},
               {"orientation", orientation_name(world.orientation)},
               {"tile_width", world.tile_width},
               {"tile_height", world.tile_height},
               {"layers", Json::array()},
               {"tilesets", Json::array()},
               {"extra", extra_object(world.extra)}};
  if (world.bounds)
    json["bounds"] = {world.bounds->x0, world.bounds->y0, world.bounds->width(), world.bounds->height()};
  for (const map::Layer& layer : world.layers) json["layers"].push_back(layer_json(layer));
  for (const map::Tileset& tileset : world.tilesets) json["tilesets"].push_back(tileset_json(tileset));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<map::World> world_from_json(std::string_view text) {
  Result<Json> parsed = parse_json(text, "world");
  if (!parsed.ok()) return parsed.error();
  if (!parsed->is_object())
    return Error{ErrorCode::bad_message, fmt::format("a world is {}; it must be an object", brief(*parsed))};
  JsonFields fields(*parsed, "");
  map::World world;
  world.id = read_world_id(fields);
  world.name = fields.text("name", kNameBytesMax);
  world.orientation = static_cast<map::Orientation>(read_name(fields, "orientation", kOrientationNames));
  world.tile_width = fields.integer_as<std::uint32_t>("tile_width", 1, kTilePixelsMax, 32);
  world.tile_height = fields.integer_as<std::uint32_t>("tile_height", 1, kTilePixelsMax, 32);
  world.bounds = read_bounds(fields);
  world.extra = fields.object_text("extra");
  if (!fields.status().ok()) return fields.status().error();
  if (Status s = read_list(fields, "layers", map::kLayersMax, read_layer, world.layers); !s.ok()) return s.error();
  if (Status s = read_list(fields, "tilesets", kTilesetsMax, read_tileset, world.tilesets); !s.ok()) return s.error();
  if (Status s = check_world(world); !s.ok()) return s.error();
  return world;
}

}  // namespace terrazzo::formats

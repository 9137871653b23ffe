#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "map/formats/base64.h"
#include "map/formats/compression.h"
#include "map/formats/image_size.h"
#include "map/formats/relative_path.h"
#include "map/formats/sha256.h"
#include "map/formats/tiled.h"
#include "map/formats/tmx_json.h"
#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

constexpr std::uint32_t kFlips = ~map::Cell::kTileMask;

Error bad(std::string text) {
  return {ErrorCode::bad_message, std::move(text)};
}

// One file of the map in the JSON form, whatever it was written in.
Result<Json> parse_file(std::string_view bytes, const std::string& name) {
  std::string unpacked;
  if (is_gzip(bytes)) {
    Result<std::string> plain = decompress(bytes, Compression::gzip, kFileBytesMax);
    if (!plain) return Error{plain.error().code, name + ": " + plain.error().message};
    unpacked = *std::move(plain);
    bytes = unpacked;
  }
  if (bytes.size() > kFileBytesMax)
    return Error{ErrorCode::too_large,
                 fmt::format("{}: {} bytes; at most {} are read", name, bytes.size(), kFileBytesMax)};
  const std::size_t first = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return bad(name + ": the file is empty");
  if (bytes[first] == '<') return xml_to_json(bytes, name);
  Result<Json> json = parse_json(bytes, name, CellArrays::pack);
  if (json && !json->is_object()) return bad(name + ": a Tiled JSON file holds an object");
  return json;
}

// Tile numbers of a map (or of a template) → the world's.
struct GidRange {
  std::uint32_t first_gid = 0;
  std::size_t tileset = 0;  // in the world's list
};

class Importer {
 public:
  Importer(const std::string& file, const FileReader& read) : file_(file), read_(read) {}

  Result<TiledMap> run(std::string_view bytes) {
    Result<Json> parsed = parse_file(bytes, file_);
    if (!parsed) return parsed.error();
    Json map = *std::move(parsed);
    if (!map.contains("layers") || !map.contains("tilesets") || !map["layers"].is_array() ||
        !map["tilesets"].is_array())
      return bad(file_ + ": this is not a Tiled map (no layers and tilesets); export a map as TMX or JSON");
    take_map(map);
    for (Json& set : map["tilesets"]) take_tileset(set, "", ranges_);
    std::ranges::sort(ranges_, {}, &GidRange::first_gid);
    take_layers(map["layers"], std::nullopt, 0);
    if (!status_.ok()) return status_.error();
    if (Status checked = check_world(out_.world); !checked)
      return Error{checked.error().code, file_ + ": " + checked.error().message};
    return std::move(out_);
  }

 private:
  void fail(Error error) {
    if (status_.ok()) status_ = std::move(error);
  }
  void fail(const std::string& text) { fail(bad(file_ + ": " + text)); }
  // The wrong type of a field is an error of the file, never an exception.
  double number(const Json& o, const char* key, double fallback) {
    const auto found = o.find(key);
    if (found == o.end() || found->is_null()) return fallback;
    if (found->is_number()) return found->get<double>();
    fail(fmt::format("{} must be a number, not {}", key,
                     found->dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40)));
    return fallback;
  }
  std::int64_t integer(const Json& o, const char* key, std::int64_t fallback, std::int64_t from, std::int64_t to) {
    const double value = number(o, key, static_cast<double>(fallback));
    if (value >= static_cast<double>(from) && value <= static_cast<double>(to)) return static_cast<std::int64_t>(value);
    fail(fmt::format("{} is {}; it must be a whole number from {} to {}", key, value, from, to));
    return from;
  }
  std::uint32_t count(const Json& o, const char* key, std::uint32_t fallback) {
    return static_cast<std::uint32_t>(integer(o, key, fallback, 0, std::int64_t{1} << 31));
  }
  std::string text(const Json& o, const char* key) {
    const auto found = o.find(key);
    if (found == o.end() || found->is_null()) return {};
    if (found->is_string()) return found->get<std::string>();
    fail(fmt::format("{} must be a string", key));
    return {};
  }
  bool flag(const Json& o, const char* key, bool fallback) {
    const auto found = o.find(key);
    return found != o.end() && found->is_boolean() ? found->get<bool>() : fallback;
  }
  // What has no field of its own is kept.
  static std::string rest(Json object, std::initializer_list<const char*> taken) {
    for (const char* key : taken) object.erase(key);
    return extra_text(object);
  }

  Result<std::string> read(const std::string& path) {
    Result<std::string> bytes = read_(path);
    if (!bytes && bytes.error().code == ErrorCode::not_found) {
      Result<std::string> packed = read_(path + ".gz");
      if (packed) return packed;
    }
    return bytes;
  }

  void take_map(const Json& map);
  map::Asset take_image(const std::string& path, const Json& o);
  void take_tileset(Json& set, const std::string& folder, std::vector<GidRange>& ranges);
  void take_collection(Json& set, map::Tileset& tileset, const std::string& folder);
  std::uint32_t world_gid(std::uint32_t gid, const std::vector<GidRange>& ranges);
  void take_layers(Json& layers, std::optional<map::LayerId> parent, int depth);
  void take_layer(Json& from, std::optional<map::LayerId> parent, int depth);
  void take_objects(Json& objects);
  void merge_template(Json& object);
  void take_cells(Json& from, map::LayerId id);
  void take_block(Json& holder, const Json& layer, const map::Rect& rect, LayerCells& out);
  Result<std::vector<map::Cell>> decode(Json& data, const Json& layer, std::uint64_t count);

  const std::string& file_;
  const FileReader& read_;
  TiledMap out_;
  Status status_;
  bool infinite_ = false;
  std::uint32_t width_ = 0, height_ = 0;
  std::vector<GidRange> ranges_;
  std::map<std::string, std::size_t> by_source_;  // external tilesets: path → place in the world's list
  std::set<std::string> image_hashes_;
  std::map<std::string, map::Asset> images_by_path_;
  int next_layer_ = 1;
  std::uint64_t cells_ = 0;
};

void Importer::take_map(const Json& map) {
  map::World& world = out_.world;
  world.name = stem_of(file_);
  if (world.name.empty()) world.name = "map";
  world.tile_width = count(map, "tilewidth", 32);
  world.tile_height = count(map, "tileheight", 32);
  infinite_ = flag(map, "infinite", false);
  width_ = count(map, "width", 0);
  height_ = count(map, "height", 0);
  if (!infinite_) {
    if (width_ == 0 || height_ == 0) fail("a finite map is at least one tile wide and high");
    if (std::uint64_t{width_} * height_ > kMapCellsMax)
      fail(Error{ErrorCode::too_large,
                 fmt::format("{}: {}×{} cells; at most {} are read", file_, width_, height_, kMapCellsMax)});
    world.bounds = map::Rect::of_size(0, 0, width_, height_);
  }
  const std::string orientation = text(map, "orientation");
  bool known = orientation.empty();
  for (const map::Orientation o : {map::Orientation::orthogonal, map::Orientation::isometric,
                                   map::Orientation::staggered, map::Orientation::hexagonal}) {
    if (orientation != orientation_name(o)) continue;
    world.orientation = o;
    known = true;
  }
  if (!known)
    fail(Error{ErrorCode::unsupported,
               fmt::format("{}: orientation \"{}\" is unknown", file_, orientation.substr(0, 40))});
  world.extra =
      rest(map, {"type", "layers", "tilesets", "tilewidth", "tileheight", "width", "height", "infinite", "orientation",
                 "nextlayerid", "nextobjectid", "version", "tiledversion", "compressionlevel"});
}

map::Asset Importer::take_image(const std::string& path, const Json& o) {
  if (const auto known = images_by_path_.find(path); known != images_by_path_.end()) return known->second;
  map::Asset asset;
  asset.name = path;
  asset.width = count(o, "imagewidth", 0);
  asset.height = count(o, "imageheight", 0);
  const Result<std::string> bytes = read_(path);
  if (!bytes) {
    fail(Error{bytes.error().code, fmt::format("{}: the image {}: {}", file_, path, bytes.error().message)});
    return asset;
  }
  // Whoever imports a map publishes its images. A map from somewhere else may name any file, so only what is an image
  // goes.
  const auto size = image_size(*bytes);
  if (!size) {
    fail(Error{
        ErrorCode::unsupported,
        fmt::format("{}: {} is named as an image, and its content is none; it must be a PNG, JPEG, GIF, BMP or WebP",
                    file_, path)});
    return asset;
  }
  asset.hash = sha256_hex(*bytes);
  asset.width = size->width;
  asset.height = size->height;
  if (image_hashes_.insert(asset.hash).second) out_.images.push_back({asset.hash, path, *bytes});
  images_by_path_[path] = asset;
  return asset;
}

void Importer::take_tileset(Json& set, const std::string& folder, std::vector<GidRange>& ranges) {
  if (!set.is_object()) return fail("tilesets are objects");
  const std::uint32_t first_gid = count(set, "firstgid", 1);
  std::string own_folder = folder;
  Json external;
  Json* content = &set;
  if (const std::string source = text(set, "source"); !source.empty()) {
    const std::string path = join_path(folder, source);
    if (const auto known = by_source_.find(path); known != by_source_.end())
      return ranges.push_back({first_gid, known->second});
    const Result<std::string> bytes = read(path);
    if (!bytes)
      return fail(Error{bytes.error().code, fmt::format("{}: the tileset {}: {}", file_, path, bytes.error().message)});
    Result<Json> parsed = parse_file(*bytes, path);
    if (!parsed) return fail(parsed.error());
    external = *std::move(parsed);
    content = &external;
    by_source_[path] = out_.world.tilesets.size();
    own_folder = folder_of(path);
  }
  Json& from = *content;
  map::Tileset tileset;
  tileset.name = text(from, "name");
  tileset.tile_width = count(from, "tilewidth", out_.world.tile_width);
  tileset.tile_height = count(from, "tileheight", out_.world.tile_height);
  tileset.tile_count = count(from, "tilecount", 0);
  tileset.columns = count(from, "columns", 0);
  tileset.margin = count(from, "margin", 0);
  tileset.spacing = count(from, "spacing", 0);
  if (const auto offset = from.find("tileoffset"); offset != from.end() && offset->is_object()) {
    tileset.draw_offset_x = static_cast<std::int32_t>(integer(*offset, "x", 0, -(1 << 30), 1 << 30));
    tileset.draw_offset_y = static_cast<std::int32_t>(integer(*offset, "y", 0, -(1 << 30), 1 << 30));
  }
  if (const std::string image = text(from, "image"); !image.empty()) {
    tileset.image = take_image(join_path(own_folder, image), from);
    // Old files leave these to the reader.
    const std::uint32_t step = tileset.tile_width + tileset.spacing;
    if (tileset.columns == 0 && step != 0)
      tileset.columns = (tileset.image.width - 2 * tileset.margin + tileset.spacing) / step;
    const std::uint32_t down = tileset.tile_height + tileset.spacing;
    if (tileset.tile_count == 0 && down != 0)
      tileset.tile_count = tileset.columns * ((tileset.image.height - 2 * tileset.margin + tileset.spacing) / down);
  } else {
    tileset.columns = 0;
  }
  take_collection(from, tileset, own_folder);
  tileset.first_tile = out_.world.tile_end();
  if (tileset.tile_count > map::Cell::kTileMask - tileset.first_tile)
    return fail(Error{ErrorCode::too_large,
                      fmt::format("{}: tileset \"{}\": more than 2^28 tiles in all", file_, tileset.name)});
  tileset.extra = rest(std::move(from), {"type", "firstgid", "source", "name", "tilewidth", "tileheight", "tilecount",
                                         "columns", "margin", "spacing", "tileoffset", "image", "imagewidth",
                                         "imageheight", "version", "tiledversion"});
  ranges.push_back({first_gid, out_.world.tilesets.size()});
  out_.world.tilesets.push_back(std::move(tileset));
}

void Importer::take_collection(Json& set, map::Tileset& tileset, const std::string& folder) {
  const auto tiles = set.find("tiles");
  if (tiles == set.end() || !tiles->is_array()) return;
  for (Json& tile : *tiles) {
    if (!tile.is_object()) return fail("tiles of a tileset are objects");
    const auto id = static_cast<std::uint32_t>(integer(tile, "id", 0, 0, map::Cell::kTileMask));
    tileset.tile_count = std::max(tileset.tile_count, id + 1);
    if (const std::string image = text(tile, "image"); !image.empty()) {
      tileset.images.push_back({id, take_image(join_path(folder, image), tile)});
      for (const char* key : {"image", "imagewidth", "imageheight"}) tile.erase(key);
    }
  }
  std::ranges::sort(tileset.images, {}, &map::CollectionTile::tile);
  // A tile that says nothing but its number is not worth keeping.
  tiles->erase(std::remove_if(tiles->begin(), tiles->end(), [](const Json& t) { return t.size() <= 1; }), tiles->end());
  if (tiles->empty()) set.erase("tiles");
}

std::uint32_t Importer::world_gid(std::uint32_t gid, const std::vector<GidRange>& ranges) {
  const std::uint32_t number = gid & ~kFlips;
  if (number == 0) return 0;
  const auto after = std::ranges::upper_bound(ranges, number, {}, &GidRange::first_gid);
  if (after == ranges.begin()) {
    fail(fmt::format("tile {} belongs to no tileset", number));
    return 0;
  }
  const GidRange& range = *std::prev(after);
  const map::Tileset& tileset = out_.world.tilesets[range.tileset];
  const std::uint32_t local = number - range.first_gid;
  if (local >= tileset.tile_count) {
    fail(fmt::format("tile {} is beyond the {} tiles of tileset \"{}\"", number, tileset.tile_count, tileset.name));
    return 0;
  }
  return (gid & kFlips) | (tileset.first_tile + local);
}

// ---- layers ----

void Importer::take_layers(Json& layers, std::optional<map::LayerId> parent, int depth) {
  if (depth > kXmlDepthMax) return fail("groups are nested too deeply");
  for (Json& layer : layers) {
    if (!layer.is_object()) return fail("layers are objects");
    take_layer(layer, parent, depth);
    if (!status_.ok()) return;
  }
}

std::uint32_t tint_of(const std::string& color) {
  if (color.size() != 7 && color.size() != 9) return 0xFFFFFFFF;
  const auto value = static_cast<std::uint32_t>(std::strtoul(color.c_str() + 1, nullptr, 16));
  return color.size() == 7 ? value | 0xFF000000u : value;
}

void Importer::take_layer(Json& from, std::optional<map::LayerId> parent, int depth) {
  if (next_layer_ >= map::kLayersMax)
    return fail(Error{ErrorCode::too_large, fmt::format("{}: more than {} layers", file_, map::kLayersMax - 1)});
  map::Layer layer;
  layer.id = static_cast<map::LayerId>(next_layer_++);
  layer.parent = parent;
  layer.name = text(from, "name");
  const std::string type = text(from, "type");
  if (type == "tilelayer") {
    layer.kind = map::LayerKind::tile;
  } else if (type == "objectgroup") {
    layer.kind = map::LayerKind::object;
  } else if (type == "imagelayer") {
    layer.kind = map::LayerKind::image;
  } else if (type == "group") {
    layer.kind = map::LayerKind::group;
  } else {
    return fail(fmt::format("layer \"{}\" is of the unknown type \"{}\"", layer.name, type.substr(0, 40)));
  }
  layer.opacity = static_cast<float>(std::clamp(number(from, "opacity", 1), 0.0, 1.0));
  layer.visible = flag(from, "visible", true);
  layer.locked = flag(from, "locked", false);
  layer.tint = tint_of(text(from, "tintcolor"));
  layer.offset_x = static_cast<float>(number(from, "offsetx", 0));
  layer.offset_y = static_cast<float>(number(from, "offsety", 0));
  layer.parallax_x = static_cast<float>(number(from, "parallaxx", 1));
  layer.parallax_y = static_cast<float>(number(from, "parallaxy", 1));
  Json children = from.value("layers", Json::array());
  if (layer.kind == map::LayerKind::tile) take_cells(from, layer.id);
  if (layer.kind == map::LayerKind::object && from.contains("objects")) take_objects(from["objects"]);
  if (layer.kind == map::LayerKind::image) {
    if (const std::string image = text(from, "image"); !image.empty()) {
      const map::Asset asset = take_image(normal_path(image), from);
      from["image"] = asset.name;
      from["image_hash"] = asset.hash;
      from["imagewidth"] = asset.width;
      from["imageheight"] = asset.height;
    }
  }
  layer.extra =
      rest(from, {"id",      "type",      "name",      "opacity", "visible", "locked", "tintcolor", "offsetx",
                  "offsety", "parallaxx", "parallaxy", "layers",  "data",    "chunks", "encoding",  "compression",
                  "width",   "height",    "x",         "y",       "startx",  "starty"});
  const map::LayerId id = layer.id;
  out_.world.layers.push_back(std::move(layer));
  if (children.is_array()) take_layers(children, id, depth + 1);
}

void Importer::take_objects(Json& objects) {
  if (!objects.is_array()) return fail("objects of a layer are an array");
  for (Json& object : objects) {
    if (!object.is_object()) return fail("objects are objects");
    // A template's gid is in the template's numbers; an own one in the map's.
    if (object.contains("gid"))
      object["gid"] = world_gid(static_cast<std::uint32_t>(integer(object, "gid", 0, 0, 0xFFFFFFFFll)), ranges_);
    if (object.contains("template")) merge_template(object);
  }
}

void Importer::merge_template(Json& object) {
  const std::string path = normal_path(text(object, "template"));
  const Result<std::string> bytes = read(path);
  if (!bytes)
    return fail(Error{bytes.error().code, fmt::format("{}: the template {}: {}", file_, path, bytes.error().message)});
  Result<Json> parsed = parse_file(*bytes, path);
  if (!parsed) return fail(parsed.error());
  Json base = parsed->value("object", Json::object());
  if (!base.is_object()) return fail(path + ": a template holds an object");
  if (parsed->contains("tileset") && base.contains("gid")) {
    std::vector<GidRange> ranges;
    take_tileset((*parsed)["tileset"], folder_of(path), ranges);
    base["gid"] = world_gid(static_cast<std::uint32_t>(integer(base, "gid", 0, 0, 0xFFFFFFFFll)), ranges);
  }
  for (const char* key : {"id", "x", "y"}) base.erase(key);
  object.erase("template");
  for (const auto& [key, value] : base.items())
    if (!object.contains(key)) object[key] = value;
}

// ---- cells ----

void Importer::take_cells(Json& from, map::LayerId id) {
  LayerCells cells;
  cells.layer = id;
  if (from.contains("chunks")) {
    if (!from["chunks"].is_array()) return fail("chunks are an array");
    for (Json& chunk : from["chunks"]) {
      if (!chunk.is_object()) return fail("chunks are objects");
      const map::Rect rect = map::Rect::of_size(integer(chunk, "x", 0, -(1ll << 30), 1ll << 30),
                                                integer(chunk, "y", 0, -(1ll << 30), 1ll << 30),
                                                count(chunk, "width", 0), count(chunk, "height", 0));
      take_block(chunk, from, rect, cells);
      if (!status_.ok()) return;
    }
  } else if (from.contains("data")) {
    const map::Rect rect = map::Rect::of_size(0, 0, count(from, "width", width_), count(from, "height", height_));
    take_block(from, from, rect, cells);
  }
  out_.layers.push_back(std::move(cells));
}

void Importer::take_block(Json& holder, const Json& layer, const map::Rect& rect, LayerCells& out) {
  if (rect.empty()) return;
  if (!infinite_ && !out_.world.area().contains(rect)) return fail("a layer is larger than the map");
  if (rect.area() > kMapCellsMax - std::min(cells_, kMapCellsMax))
    return fail(Error{ErrorCode::too_large, fmt::format("{}: more than {} cells in all layers", file_, kMapCellsMax)});
  cells_ += rect.area();
  if (!holder.contains("data")) return fail("a layer has no data");
  Result<std::vector<map::Cell>> cells = decode(holder["data"], layer, rect.area());
  if (!cells)
    return fail(Error{cells.error().code,
                      fmt::format("{}: layer \"{}\": {}", file_, text(layer, "name"), cells.error().message)});
  std::uint32_t before = 0, after = 0;  // most cells are as the one before
  for (map::Cell& cell : *cells) {
    if (cell.bits != before) {
      before = cell.bits;
      after = world_gid(before, ranges_);
    }
    cell.bits = after;
  }
  out.area = out.blocks.empty() ? rect
                                : map::Rect{std::min(out.area.x0, rect.x0), std::min(out.area.y0, rect.y0),
                                            std::max(out.area.x1, rect.x1), std::max(out.area.y1, rect.y1)};
  out.blocks.push_back({rect, *std::move(cells)});
}

Result<std::vector<map::Cell>> Importer::decode(Json& data, const Json& layer, std::uint64_t cell_count) {
  const std::uint64_t expected = cell_count * sizeof(map::Cell);
  std::vector<map::Cell> cells(cell_count);
  const auto take = [&](const void* bytes, std::size_t size) -> Status {
    if (size != expected)
      return bad(fmt::format("its data hold {} cells where {} belong; is the file cut off?", size / sizeof(map::Cell),
                             cell_count));
    std::memcpy(cells.data(), bytes, size);
    return {};
  };
  if (data.is_binary()) {
    if (Status taken = take(data.get_binary().data(), data.get_binary().size()); !taken) return taken.error();
    return cells;
  }
  if (!data.is_string()) return bad("its data are neither numbers nor text");
  Result<std::string> bytes = base64_decode(data.get_ref<const std::string&>());
  if (!bytes) return bytes.error();
  const std::string name = text(layer, "compression");
  if (!name.empty()) {
    bool known = false;
    for (const Compression compression : {Compression::zlib, Compression::gzip, Compression::zstd}) {
      if (name != compression_name(compression)) continue;
      known = true;
      Result<std::string> plain = decompress(*bytes, compression, expected);
      if (!plain) return plain.error();
      bytes = std::move(plain);
    }
    if (!known)
      return Error{ErrorCode::unsupported,
                   fmt::format("its compression \"{}\" is unknown; Tiled has gzip, zlib and zstd", name.substr(0, 40))};
  }
  if (Status taken = take(bytes->data(), bytes->size()); !taken) return taken.error();
  return cells;
}

}  // namespace

Result<TiledMap> import_tiled(std::string_view bytes, const std::string& file_name, const FileReader& read_file) {
  return Importer(file_name, read_file).run(bytes);
}

}  // namespace terrazzo::formats

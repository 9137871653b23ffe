#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "map/formats/base64.h"
#include "map/formats/compression.h"
#include "map/formats/extra_check.h"
#include "map/formats/relative_path.h"
#include "map/formats/tiled.h"
#include "map/formats/tmx_json.h"
#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

constexpr std::int64_t kTiledChunk = 16;  // cells: what Tiled itself writes
constexpr std::int64_t kBandRows = 64;

std::string color(std::uint32_t argb) {
  return (argb >> 24) == 0xFF ? fmt::format("#{:06x}", argb & 0xFFFFFF) : fmt::format("#{:08x}", argb);
}

class Exporter {
 public:
  Exporter(const map::World& world, const CellSource& cells, const ExportOptions& options, bool xml)
      : world_(world), cells_(cells), options_(options), xml_(xml) {
    for (const ExportedImage& image : export_images(world)) paths_.emplace(key(image.asset), image.path);
    finite_ = world.bounds && world.bounds->x0 == 0 && world.bounds->y0 == 0;
  }

  Result<Json> run() {
    if (Status good = check_tiled_extra(world_, xml_ ? TiledForm::xml : TiledForm::json); !good) return good.error();
    Json out = extra_object(world_.extra);
    out["type"] = "map";
    out["version"] = xml_ ? Json("1.8") : Json("1.8");
    out["tiledversion"] = "1.8.2";
    out["orientation"] = std::string(orientation_name(world_.orientation));
    if (!out.contains("renderorder")) out["renderorder"] = "right-down";
    out["tilewidth"] = world_.tile_width;
    out["tileheight"] = world_.tile_height;
    out["infinite"] = !finite_;
    out["width"] = finite_ ? world_.bounds->width() : kTiledChunk;
    out["height"] = finite_ ? world_.bounds->height() : kTiledChunk;
    out["nextlayerid"] = 256;
    out["nextobjectid"] = next_object_id();
    out["tilesets"] = Json::array();
    for (const map::Tileset& set : world_.tilesets) out["tilesets"].push_back(tileset(set));
    out["layers"] = layers(std::nullopt);
    if (!status_.ok()) return status_.error();
    return out;
  }

 private:
  static std::string key(const map::Asset& asset) { return asset.hash + "|" + asset.name; }
  std::string path_of(const map::Asset& asset) const {
    if (options_.image_path) return options_.image_path(asset);
    const auto found = paths_.find(key(asset));
    return found == paths_.end() ? asset.name : found->second;
  }
  std::int64_t next_object_id() const {
    std::int64_t next = 1;
    for (const map::Layer& layer : world_.layers) {
      if (layer.kind != map::LayerKind::object) continue;
      const Json extra = extra_object(layer.extra);
      if (!extra.contains("objects") || !extra["objects"].is_array()) continue;
      for (const Json& object : extra["objects"])
        if (object.is_object() && object.contains("id") && object["id"].is_number_integer())
          next = std::max(next, object["id"].get<std::int64_t>() + 1);
    }
    return next;
  }

  void image(const map::Asset& asset, Json& out) const {
    if (asset.name.empty() && asset.hash.empty()) return;
    out["image"] = path_of(asset);
    out["imagewidth"] = asset.width;
    out["imageheight"] = asset.height;
  }
  Json tileset(const map::Tileset& from) const {
    Json out = extra_object(from.extra);
    out["firstgid"] = from.first_tile;
    out["name"] = from.name;
    out["tilewidth"] = from.tile_width;
    out["tileheight"] = from.tile_height;
    out["tilecount"] = from.columns == 0 && !from.images.empty() ? from.images.size() : from.tile_count;
    out["columns"] = from.columns;
    out["margin"] = from.margin;
    out["spacing"] = from.spacing;
    if (from.draw_offset_x != 0 || from.draw_offset_y != 0)
      out["tileoffset"] = {{"x", from.draw_offset_x}, {"y", from.draw_offset_y}};
    image(from.image, out);
    if (from.images.empty()) return out;
    std::map<std::uint32_t, Json> tiles;
    if (out.contains("tiles") && out["tiles"].is_array())
      for (const Json& tile : out["tiles"])
        if (tile.is_object()) tiles[tile.value("id", 0u)] = tile;
    for (const map::CollectionTile& tile : from.images) {
      Json& one = tiles[tile.tile];
      one["id"] = tile.tile;
      image(tile.image, one);
    }
    out["tiles"] = Json::array();
    for (auto& [id, tile] : tiles) out["tiles"].push_back(std::move(tile));
    return out;
  }

  Json layers(std::optional<map::LayerId> parent) {
    Json out = Json::array();
    for (const map::Layer& layer : world_.layers)
      if (layer.parent == parent && status_.ok()) out.push_back(one_layer(layer));
    return out;
  }
  Json one_layer(const map::Layer& from) {
    Json out = extra_object(from.extra);
    out["id"] = from.id;
    out["name"] = from.name;
    if (from.opacity != 1) out["opacity"] = shortest_double(from.opacity);
    if (!xml_ && from.opacity == 1) out["opacity"] = 1;
    if (!from.visible || !xml_) out["visible"] = from.visible;
    if (from.locked) out["locked"] = true;
    if (from.tint != 0xFFFFFFFF) out["tintcolor"] = color(from.tint);
    for (const auto& [name, value, plain] : {std::tuple("offsetx", from.offset_x, 0.0f),
                                             {"offsety", from.offset_y, 0.0f},
                                             {"parallaxx", from.parallax_x, 1.0f},
                                             {"parallaxy", from.parallax_y, 1.0f}})
      if (value != plain) out[name] = shortest_double(value);
    switch (from.kind) {
      case map::LayerKind::tile:
        out["type"] = "tilelayer";
        // The cells and their form are the world's and the options', whatever `extra` holds under these names.
        for (const char* own : {"data", "chunks", "encoding", "compression"}) out.erase(own);
        tiles(from.id, out);
        break;
      case map::LayerKind::object:
        out["type"] = "objectgroup";
        if (!out.contains("objects")) out["objects"] = Json::array();
        break;
      case map::LayerKind::image:
        out["type"] = "imagelayer";
        if (out.contains("image") && out["image"].is_string())
          out["image"] = path_of({out.value("image_hash", ""), out["image"].get<std::string>(), 0, 0});
        out.erase("image_hash");
        break;
      case map::LayerKind::group:
        out["type"] = "group";
        out["layers"] = layers(from.id);
        break;
    }
    return out;
  }

  void fail(Error error) {
    if (status_.ok()) status_ = std::move(error);
  }
  void tiles(map::LayerId id, Json& out) {
    constexpr std::string_view kNames[] = {"", "", "zlib", "gzip", "zstd"};
    const std::string_view compression = kNames[static_cast<std::size_t>(options_.encoding)];
    if (options_.encoding != CellEncoding::csv) {
      out["encoding"] = "base64";
      if (!compression.empty() || !xml_) out["compression"] = compression;
    } else if (xml_) {
      out["encoding"] = "csv";
    }
    if (finite_) {
      const map::Rect area = *world_.bounds;
      out["width"] = area.width();
      out["height"] = area.height();
      if (!xml_) out["x"] = out["y"] = 0;
      std::vector<map::Cell> all(check_count(area.area()));
      for (std::int64_t y = area.y0; y < area.y1 && status_.ok(); y += kBandRows) {
        const map::Rect band{area.x0, y, area.x1, std::min(y + kBandRows, area.y1)};
        read(id, band, std::span(all).subspan(static_cast<std::size_t>((y - area.y0) * area.width()), band.area()));
      }
      out["data"] = encode(all);
      return;
    }
    chunks(id, out);
  }
  void chunks(map::LayerId id, Json& out) {
    Result<std::vector<map::Rect>> used =
        cells_.used ? cells_.used(id) : Result<std::vector<map::Rect>>(std::vector<map::Rect>());
    if (!used) return fail(used.error());
    std::set<std::pair<std::int64_t, std::int64_t>> places;  // by row, then column
    for (const map::Rect& rect : *used)
      for (std::int64_t y = rect.y0 & -kTiledChunk; y < rect.y1; y += kTiledChunk)
        for (std::int64_t x = rect.x0 & -kTiledChunk; x < rect.x1; x += kTiledChunk) {
          places.emplace(y, x);
          check_count(kTiledChunk * kTiledChunk);
          if (!status_.ok()) return;
        }
    out["chunks"] = Json::array();
    std::vector<map::Cell> cells(kTiledChunk * kTiledChunk);
    map::Rect around;
    for (const auto& [y, x] : places) {
      const map::Rect rect = map::Rect::of_size(x, y, kTiledChunk, kTiledChunk);
      read(id, rect, cells);
      if (!status_.ok()) return;
      if (std::ranges::all_of(cells, [](map::Cell c) { return c.empty(); })) continue;
      around = around.empty() ? rect
                              : map::Rect{std::min(around.x0, x), std::min(around.y0, y), std::max(around.x1, rect.x1),
                                          std::max(around.y1, rect.y1)};
      out["chunks"].push_back(
          {{"x", x}, {"y", y}, {"width", kTiledChunk}, {"height", kTiledChunk}, {"data", encode(cells)}});
    }
    out["width"] = std::max<std::int64_t>(around.width(), kTiledChunk);
    out["height"] = std::max<std::int64_t>(around.height(), kTiledChunk);
    if (!xml_) {
      out["startx"] = around.x0;
      out["starty"] = around.y0;
      out["x"] = out["y"] = 0;
    }
  }
  std::uint64_t check_count(std::uint64_t cells) {
    count_ += cells;
    if (count_ <= kMapCellsMax) return cells;
    fail({ErrorCode::too_large, fmt::format("the world has more than {} cells; export a part of it", kMapCellsMax)});
    return 0;
  }
  void read(map::LayerId id, const map::Rect& rect, std::span<map::Cell> cells) {
    if (Status done = cells_.read(id, rect, cells); !done) return fail(done.error());
    const std::uint32_t end = world_.tile_end();
    for (const map::Cell cell : cells)
      if (cell.tile() >= end)
        return fail({ErrorCode::bad_message,
                     fmt::format("layer {} holds tile {}, and the world's tiles end at {}", id, cell.tile(), end - 1)});
  }
  Json encode(const std::vector<map::Cell>& cells) const {
    const std::string_view bytes(reinterpret_cast<const char*>(cells.data()), cells.size() * sizeof(map::Cell));
    if (options_.encoding == CellEncoding::csv) {
      if (xml_) return Json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
      Json numbers = Json::array();
      for (const map::Cell cell : cells) numbers.push_back(cell.bits);
      return numbers;
    }
    constexpr Compression kOf[] = {Compression::none, Compression::none, Compression::zlib, Compression::gzip,
                                   Compression::zstd};
    const Compression compression = kOf[static_cast<std::size_t>(options_.encoding)];
    return base64_encode(compression == Compression::none ? std::string(bytes) : compress(bytes, compression));
  }

  const map::World& world_;
  const CellSource& cells_;
  const ExportOptions& options_;
  const bool xml_;
  bool finite_ = false;
  std::map<std::string, std::string> paths_;
  Status status_;
  std::uint64_t count_ = 0;
};

}  // namespace

Result<std::string> export_tmx(const map::World& world, const CellSource& cells, const ExportOptions& options) {
  Result<Json> json = Exporter(world, cells, options, true).run();
  if (!json) return json.error();
  return map_json_to_xml(*json);
}

Result<std::string> export_tmj(const map::World& world, const CellSource& cells, const ExportOptions& options) {
  Result<Json> json = Exporter(world, cells, options, false).run();
  if (!json) return json.error();
  return json->dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<ExportedImage> export_images(const map::World& world) {
  std::vector<ExportedImage> out;
  std::map<std::string, std::string> hash_by_path;
  std::set<std::string> known;
  const auto add = [&](const map::Asset& asset) {
    if (asset.hash.empty() || !known.insert(asset.hash + "|" + asset.name).second) return;
    std::string path = inside_path(asset.name);
    // Two images of one name: the later one gets its hash in front.
    if (const auto taken = hash_by_path.find(path); taken != hash_by_path.end() && taken->second != asset.hash)
      path = asset.hash.substr(0, 12) + "-" + path.substr(path.rfind('/') + 1);
    hash_by_path.emplace(path, asset.hash);
    out.push_back({asset, path});
  };
  for (const map::Tileset& set : world.tilesets) {
    add(set.image);
    for (const map::CollectionTile& tile : set.images) add(tile.image);
  }
  for (const map::Layer& layer : world.layers) {
    if (layer.kind != map::LayerKind::image) continue;
    const Json extra = extra_object(layer.extra);
    const auto text = [&](const char* name) {
      return extra.contains(name) && extra[name].is_string() ? extra[name].get<std::string>() : std::string();
    };
    const auto number = [&](const char* name) {
      return extra.contains(name) && extra[name].is_number_unsigned() ? extra[name].get<std::uint32_t>() : 0u;
    };
    add({text("image_hash"), text("image"), number("imagewidth"), number("imageheight")});
  }
  return out;
}

CellSource source_of(const TiledMap& tiled) {
  CellSource source;
  const auto find = [&tiled](map::LayerId id) -> const LayerCells* {
    const auto found = std::ranges::find(tiled.layers, id, &LayerCells::layer);
    return found == tiled.layers.end() ? nullptr : &*found;
  };
  source.read = [find](map::LayerId id, const map::Rect& rect, std::span<map::Cell> cells) -> Status {
    std::ranges::fill(cells, map::Cell{});
    const LayerCells* layer = find(id);
    if (layer == nullptr) return {};
    for (const CellBlock& block : layer->blocks) {
      const map::Rect part = block.rect.intersect(rect);
      for (std::int64_t y = part.y0; y < part.y1; ++y)
        std::copy_n(block.cells.begin() + (y - block.rect.y0) * block.rect.width() + (part.x0 - block.rect.x0),
                    part.width(), cells.begin() + (y - rect.y0) * rect.width() + (part.x0 - rect.x0));
    }
    return {};
  };
  source.used = [find](map::LayerId id) -> Result<std::vector<map::Rect>> {
    std::vector<map::Rect> rects;
    if (const LayerCells* layer = find(id))
      for (const CellBlock& block : layer->blocks) rects.push_back(block.rect);
    return rects;
  };
  return source;
}

}  // namespace terrazzo::formats

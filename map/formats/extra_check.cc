#include "map/formats/extra_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "map/cell.h"
#include "map/formats/json_fields.h"
#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

// Letters, digits, '_', '-' and '.', not first a digit, '-' or '.': every name Tiled uses is one of these.
bool is_xml_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
}

// Walks what the writers walk. Remembers the first fault; everything after it is harmless.
class Checker {
 public:
  explicit Checker(TiledForm form) : form_(form) {}
  const Status& status() const { return status_; }

  void map_extra(const Json& extra) {
    JsonFields fields(extra, "extra of the world");
    shared(extra, fields);
    keep(fields);
  }

  void layer_extra(const Json& extra, const map::Layer& layer) {
    const std::string path = fmt::format("extra of layer {}", layer.id);
    JsonFields fields(extra, path);
    shared(extra, fields);
    if (layer.kind == map::LayerKind::object) each(fields, "objects", path, &Checker::object);
    if (layer.kind == map::LayerKind::image) {
      optional_text(fields, "image");
      const std::string hash = fields.text("image_hash", 64, "");
      const bool hex =
          std::ranges::all_of(hash, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
      if (!hex || (!hash.empty() && hash.size() != 64))
        fields.fail("image_hash", "64 lower-case hex digits (SHA-256) or empty");
      colour(fields);
    }
    keep(fields);
  }

  void tileset_extra(const Json& extra, const map::Tileset& tileset) {
    const std::string path = fmt::format("extra of tileset \"{}\"", tileset.name);
    JsonFields fields(extra, path);
    shared(extra, fields);
    colour(fields);
    for (const char* part : {"tileoffset", "grid", "transformations"})
      if (const Json* found = fields.find(part)) plain(*found, fmt::format("{}.{}", path, part));
    keep(fields);
    each(fields, "terrains", path, &Checker::plain);
    each(fields, "tiles", path, &Checker::tile);
    each(fields, "wangsets", path, &Checker::wang_set);
  }

 private:
  void keep(const JsonFields& fields) {
    if (status_.ok() && !fields.status().ok()) status_ = fields.status();
  }
  void optional_text(JsonFields& fields, const char* key) {
    const Json* value = fields.find(key);
    if (value != nullptr && !value->is_string()) fields.fail(key, "text");
  }
  void colour(JsonFields& fields) {
    const Json* value = fields.find("transparentcolor");
    if (value == nullptr) return;
    if (!value->is_string() || !value->get_ref<const std::string&>().starts_with('#'))
      fields.fail("transparentcolor", "a colour written #RRGGBB");
  }
  // What every element may have: attributes and custom properties.
  void shared(const Json& object, JsonFields& fields) {
    if (!object.is_object()) return;
    if (form_ == TiledForm::xml)
      for (const auto& [key, value] : object.items())
        if (!value.is_structured() && !is_xml_name(key))
          fields.fail(key.c_str(), "under a name of letters, digits, '_', '-' and '.' to be written to XML");
    keep(fields);
    each(fields, "properties", fields.path(), &Checker::property);
  }
  // Every element of the array `key`, which may be missing.
  void each(JsonFields& fields, const char* key, const std::string& path,
            void (Checker::*check)(const Json&, const std::string&)) {
    const Json* list = fields.array(key);
    keep(fields);
    if (list == nullptr || !status_.ok()) return;
    for (std::size_t i = 0; i < list->size() && status_.ok(); ++i)
      (this->*check)((*list)[i], fmt::format("{}.{}[{}]", path, key, i));
  }

  void plain(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    shared(json, fields);
    keep(fields);
  }
  void property(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    optional_text(fields, "name");
    optional_text(fields, "type");
    keep(fields);
  }
  void corner(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    for (const char* axis : {"x", "y"})
      if (const Json* value = fields.find(axis); value != nullptr && !value->is_number()) fields.fail(axis, "a number");
    keep(fields);
  }
  void object(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    shared(json, fields);
    for (const char* shape : {"point", "ellipse", "capsule"}) fields.boolean(shape, false);
    for (const char* shape : {"polygon", "polyline"}) each(fields, shape, path, &Checker::corner);
    if (const Json* words = fields.find("text"); words != nullptr && words->is_object()) {
      JsonFields text(*words, path + ".text");
      shared(*words, text);
      optional_text(text, "text");
      keep(text);
    }
    keep(fields);
  }
  void numbers(JsonFields& fields, const char* key) {
    const Json* list = fields.array(key);
    if (list != nullptr && !std::ranges::all_of(*list, [](const Json& one) { return one.is_number_integer(); }))
      fields.fail(key, "an array of whole numbers");
  }
  void tile(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    shared(json, fields);
    fields.integer("id", 0, map::Cell::kTileMask);
    colour(fields);
    if (fields.find("terrain") != nullptr) numbers(fields, "terrain");
    each(fields, "animation", path, &Checker::plain);
    if (const Json* group = fields.find("objectgroup")) {
      const std::string inner = path + ".objectgroup";
      JsonFields shapes(*group, inner);
      shared(*group, shapes);
      each(shapes, "objects", inner, &Checker::object);
      keep(shapes);
    }
    keep(fields);
  }
  void wang_tile(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    numbers(fields, "wangid");
    keep(fields);
  }
  void wang_set(const Json& json, const std::string& path) {
    JsonFields fields(json, path);
    shared(json, fields);
    each(fields, "colors", path, &Checker::plain);
    each(fields, "wangtiles", path, &Checker::wang_tile);
    keep(fields);
  }

  const TiledForm form_;
  Status status_;
};

}  // namespace

Status check_tiled_extra(const map::World& world, TiledForm form) {
  Checker checker(form);
  checker.map_extra(extra_object(world.extra));
  for (const map::Tileset& tileset : world.tilesets) checker.tileset_extra(extra_object(tileset.extra), tileset);
  for (const map::Layer& layer : world.layers) checker.layer_extra(extra_object(layer.extra), layer);
  return checker.status();
}

}  // namespace terrazzo::formats

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <pugixml.hpp>
#include <vector>

#include "map/formats/tmx_json.h"

namespace terrazzo::formats {
namespace {

constexpr std::array<std::string_view, 38> kTexts = {"name",
                                                     "type",
                                                     "class",
                                                     "source",
                                                     "trans",
                                                     "version",
                                                     "tiledversion",
                                                     "orientation",
                                                     "renderorder",
                                                     "staggeraxis",
                                                     "staggerindex",
                                                     "color",
                                                     "backgroundcolor",
                                                     "tintcolor",
                                                     "draworder",
                                                     "encoding",
                                                     "compression",
                                                     "value",
                                                     "propertytype",
                                                     "template",
                                                     "objectalignment",
                                                     "tilerendersize",
                                                     "fillmode",
                                                     "fontfamily",
                                                     "halign",
                                                     "valign",
                                                     "wangid",
                                                     "terrain",
                                                     "format",
                                                     "image",
                                                     "transparentcolor",
                                                     "text",
                                                     "export",
                                                     "target",
                                                     "mode",
                                                     "points",
                                                     "blendmode",
                                                     "sprite"};
constexpr std::array<std::string_view, 15> kSwitches = {
    "visible", "locked", "infinite",  "repeatx",   "repeaty",
    "bold",    "italic", "underline", "strikeout", "kerning",
    "wrap",    "hflip",  "vflip",     "rotate",    "preferuntransformed"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// "3:14" for a byte of the text, both from 1; columns count bytes.
std::string line_and_column(std::string_view text, std::ptrdiff_t offset) {
  const std::string_view before = text.substr(0, static_cast<std::size_t>(std::max<std::ptrdiff_t>(offset, 0)));
  const std::size_t newline = before.rfind('\n');
  return fmt::format("{}:{}", 1 + std::ranges::count(before, '\n'),
                     before.size() - (newline == before.npos ? 0 : newline + 1) + 1);
}

// "<map>/<group>/<layer>"
std::string element_path(pugi::xml_node node) {
  std::string path;
  for (; node.type() == pugi::node_element; node = node.parent())
    path = fmt::format("<{}>{}{}", node.name(), path.empty() ? "" : "/", path);
  return path;
}

// Collects the first thing that is wrong; everything after it is harmless.
class Converter {
 public:
  Converter(const std::string& what, std::string_view xml) : what_(what), xml_(xml) {}
  const Status& status() const { return status_; }

  Json root(const pugi::xml_node& node) {
    const std::string_view name = node.name();
    if (name == "map") return map(node);
    if (name == "tileset") return tileset(node, 0);
    if (name == "template") return object_template(node);
    fail(node, "the root element is <" + std::string(name) + ">; a Tiled file has <map>, <tileset> or <template>");
    return Json::object();
  }

 private:
  void fail(const pugi::xml_node& node, const std::string& why) {
    if (status_.ok())
      // pugixml's offset is that of the name, one behind the '<'.
      status_ = Error{
          ErrorCode::bad_message,
          fmt::format("{}:{}: {}: {}", what_, line_and_column(xml_, node.offset_debug() - 1), element_path(node), why)};
  }
  Json number(const pugi::xml_node& node, const char* name, std::string_view text) {
    std::int64_t whole = 0;
    const char* end = text.data() + text.size();
    if (const auto r = std::from_chars(text.data(), end, whole); r.ec == std::errc() && r.ptr == end) return whole;
    double real = 0;
    if (const auto r = std::from_chars(text.data(), end, real); r.ec == std::errc() && r.ptr == end) return real;
    fail(node, fmt::format("{}=\"{}\" must be a number", name, text.substr(0, 40)));
    return 0;
  }
  void attributes(const pugi::xml_node& node, Json& out) {
    for (const pugi::xml_attribute a : node.attributes()) {
      const std::string_view name = a.name(), value = a.value();
      if (among(kTexts, name)) {
        out[a.name()] = a.value();
      } else if (among(kSwitches, name)) {
        const bool on = value == "1" || value == "true";
        if (!on && value != "0" && value != "false")
          fail(node, fmt::format("{}=\"{}\" must be 0, 1, true or false", name, value.substr(0, 40)));
        out[a.name()] = on;
      } else {
        out[a.name()] = number(node, a.name(), value);
      }
    }
  }

  // ---- properties ----
  Json property_value(const pugi::xml_node& p, int depth) {
    const std::string_view type = p.attribute("type").value();
    if (type == "class") {
      Json members = Json::object();
      for (const pugi::xml_node member : p.child("properties").children("property"))
        if (deep_enough(member, depth)) members[member.attribute("name").value()] = property_value(member, depth + 1);
      return members;
    }
    const pugi::xml_attribute value = p.attribute("value");
    const std::string text = value ? value.value() : p.text().get();
    if (type == "bool") return text == "true" || text == "1";
    if ((type == "int" || type == "float" || type == "object") && !text.empty()) return number(p, "value", text);
    return text;
  }
  void properties(const pugi::xml_node& node, Json& out) {
    const pugi::xml_node list = node.child("properties");
    if (!list) return;
    Json all = Json::array();
    for (const pugi::xml_node p : list.children("property")) {
      Json one{{"name", p.attribute("name").value()}, {"type", p.attribute("type").as_string("string")}};
      if (const auto custom = p.attribute("propertytype")) one["propertytype"] = custom.value();
      one["value"] = property_value(p, 0);
      all.push_back(std::move(one));
    }
    out["properties"] = std::move(all);
  }
  bool deep_enough(const pugi::xml_node& node, int depth) {
    if (depth > kXmlDepthMax) fail(node, fmt::format("elements are nested deeper than {}", kXmlDepthMax));
    return depth <= kXmlDepthMax;
  }

  // ---- images ----
  void image(const pugi::xml_node& node, Json& out) {
    const pugi::xml_node picture = node.child("image");
    if (!picture) return;
    if (picture.child("data"))
      fail(picture, "images inside the file are not read; save the image as a file of its own");
    out["image"] = picture.attribute("source").value();
    for (const auto& [from, to] : {std::pair("width", "imagewidth"), std::pair("height", "imageheight")})
      if (const auto a = picture.attribute(from)) out[to] = number(picture, from, a.value());
    if (const auto trans = picture.attribute("trans")) {
      const std::string text = trans.value();
      out["transparentcolor"] = text.starts_with('#') ? text : "#" + text;
    }
  }

  // ---- map and layers ----
  Json map(const pugi::xml_node& node) {
    Json out{{"type", "map"}, {"tilesets", Json::array()}};
    attributes(node, out);
    properties(node, out);
    for (const pugi::xml_node child : node.children("tileset")) out["tilesets"].push_back(tileset(child, 0));
    out["layers"] = layers(node, 0);
    return out;
  }
  Json layers(const pugi::xml_node& node, int depth) {
    Json out = Json::array();
    if (!deep_enough(node, depth)) return out;
    for (const pugi::xml_node child : node.children()) {
      const std::string_view name = child.name();
      if (name == "layer") out.push_back(tile_layer(child));
      if (name == "objectgroup") out.push_back(object_group(child));
      if (name == "imagelayer") out.push_back(image_layer(child));
      if (name == "group") {
        Json group{{"type", "group"}};
        attributes(child, group);
        properties(child, group);
        group["layers"] = layers(child, depth + 1);
        out.push_back(std::move(group));
      }
    }
    return out;
  }
  Json image_layer(const pugi::xml_node& node) {
    Json out{{"type", "imagelayer"}};
    attributes(node, out);
    properties(node, out);
    image(node, out);
    return out;
  }
  Json tile_layer(const pugi::xml_node& node) {
    Json out{{"type", "tilelayer"}};
    attributes(node, out);
    properties(node, out);
    const pugi::xml_node data = node.child("data");
    for (const char* name : {"encoding", "compression"})
      if (const auto a = data.attribute(name)) out[name] = a.value();
    const std::string_view encoding = data.attribute("encoding").value();
    if (!data.child("chunk")) {
      if (data) out["data"] = cells(data, encoding);
      return out;
    }
    Json chunks = Json::array();
    for (const pugi::xml_node chunk : data.children("chunk")) {
      Json one = Json::object();
      attributes(chunk, one);
      one["data"] = cells(chunk, encoding);
      chunks.push_back(std::move(one));
    }
    out["chunks"] = std::move(chunks);
    return out;
  }
  Json cells(const pugi::xml_node& node, std::string_view encoding) {
    if (encoding == "base64") return std::string(node.text().get());
    std::vector<std::uint32_t> values;
    if (encoding == "csv") {
      csv(node, values);
    } else if (encoding.empty()) {
      for (const pugi::xml_node tile : node.children("tile")) values.push_back(gid(tile));
    } else {
      fail(node, fmt::format("the encoding \"{}\" of a layer is unknown; Tiled writes csv, base64 or <tile> elements",
                             encoding.substr(0, 40)));
    }
    std::vector<std::uint8_t> bytes(values.size() * 4);
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return Json::binary(std::move(bytes));
  }
  std::uint32_t gid(const pugi::xml_node& tile) {
    const std::string_view text = tile.attribute("gid").as_string("0");
    std::uint32_t value = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), value);
    if (r.ec != std::errc() || r.ptr != text.data() + text.size())
      fail(tile, fmt::format("gid=\"{}\" must be a whole number from 0 to 4294967295", text.substr(0, 40)));
    return value;
  }
  void csv(const pugi::xml_node& node, std::vector<std::uint32_t>& values) {
    const std::string_view text = node.text().get();
    const char *at = text.data(), *end = at + text.size();
    const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (true) {
      while (at != end && is_space(*at)) ++at;
      if (at == end) return;
      std::uint32_t value = 0;
      const auto r = std::from_chars(at, end, value);
      if (r.ec != std::errc())
        return fail(node, fmt::format("cell {} of the csv data is not a number from 0 to 4294967295", values.size()));
      values.push_back(value);
      at = r.ptr;
      while (at != end && is_space(*at)) ++at;
      if (at == end) return;
      if (*at++ != ',')
        return fail(node, fmt::format("a comma is missing after cell {} of the csv data", values.size() - 1));
    }
  }

  // ---- objects ----
  Json object_group(const pugi::xml_node& node) {
    Json out{{"type", "objectgroup"}, {"objects", Json::array()}};
    attributes(node, out);
    properties(node, out);
    for (const pugi::xml_node child : node.children("object")) out["objects"].push_back(object(child));
    return out;
  }
  Json object(const pugi::xml_node& node) {
    Json out = Json::object();
    attributes(node, out);
    properties(node, out);
    if (node.child("point")) out["point"] = true;
    if (node.child("ellipse")) out["ellipse"] = true;
    if (node.child("capsule")) out["capsule"] = true;
    for (const char* shape : {"polygon", "polyline"})
      if (const pugi::xml_node points = node.child(shape)) out[shape] = corners(points);
    if (const pugi::xml_node text = node.child("text")) {
      Json words = Json::object();
      attributes(text, words);
      words["text"] = text.text().get();
      out["text"] = std::move(words);
    }
    return out;
  }
  Json corners(const pugi::xml_node& node) {
    Json out = Json::array();
    std::string_view text = node.attribute("points").value();
    while (!text.empty()) {
      const std::size_t space = text.find(' ');
      const std::string_view pair = text.substr(0, space);
      text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
      if (pair.empty()) continue;
      const std::size_t comma = pair.find(',');
      if (comma == std::string_view::npos) {
        fail(node, "points are pairs \"x,y\" with spaces between");
        break;
      }
      out.push_back({{"x", number(node, "points", pair.substr(0, comma))},
                     {"y", number(node, "points", pair.substr(comma + 1))}});
    }
    return out;
  }
  Json object_template(const pugi::xml_node& node) {
    Json out{{"type", "template"}, {"object", object(node.child("object"))}};
    if (const pugi::xml_node set = node.child("tileset")) out["tileset"] = tileset(set, 0);
    return out;
  }

  // ---- tilesets ----
  Json tileset(const pugi::xml_node& node, int) {
    Json out{{"type", "tileset"}};
    attributes(node, out);
    if (out.contains("source")) return Json{{"firstgid", out.value("firstgid", Json(0))}, {"source", out["source"]}};
    properties(node, out);
    image(node, out);
    for (const char* part : {"tileoffset", "grid", "transformations"}) {
      if (const pugi::xml_node child = node.child(part)) {
        Json fields = Json::object();
        attributes(child, fields);
        out[part] = std::move(fields);
      }
    }
    if (const pugi::xml_node terrains = node.child("terraintypes")) out["terrains"] = named(terrains, "terrain");
    Json tiles = Json::array();
    for (const pugi::xml_node child : node.children("tile")) tiles.push_back(tile(child));
    if (!tiles.empty()) out["tiles"] = std::move(tiles);
    if (const pugi::xml_node sets = node.child("wangsets")) out["wangsets"] = wang_sets(sets);
    return out;
  }
  Json named(const pugi::xml_node& node, const char* element) {
    Json out = Json::array();
    for (const pugi::xml_node child : node.children(element)) {
      Json one = Json::object();
      attributes(child, one);
      properties(child, one);
      out.push_back(std::move(one));
    }
    return out;
  }
  Json tile(const pugi::xml_node& node) {
    Json out = Json::object();
    attributes(node, out);
    properties(node, out);
    image(node, out);
    if (const pugi::xml_node group = node.child("objectgroup")) out["objectgroup"] = object_group(group);
    if (const pugi::xml_node animation = node.child("animation")) out["animation"] = named(animation, "frame");
    if (const auto corners_of = node.attribute("terrain")) out["terrain"] = numbers(node, corners_of.value(), -1);
    return out;
  }
  // "0,1,,2": numbers, `missing` where there is none.
  Json numbers(const pugi::xml_node& node, std::string_view text, std::int64_t missing) {
    Json out = Json::array();
    while (true) {
      const std::size_t comma = text.find(',');
      const std::string_view one = text.substr(0, comma);
      out.push_back(one.empty() ? Json(missing) : number(node, "list", one));
      if (comma == std::string_view::npos) return out;
      text = text.substr(comma + 1);
    }
  }
  Json wang_sets(const pugi::xml_node& node) {
    Json out = Json::array();
    for (const pugi::xml_node set : node.children("wangset")) {
      Json one = Json::object();
      attributes(set, one);
      properties(set, one);
      one["colors"] = named(set, "wangcolor");
      Json tiles = Json::array();
      for (const pugi::xml_node child : set.children("wangtile"))
        tiles.push_back({{"tileid", child.attribute("tileid").as_int()},
                         {"wangid", numbers(child, child.attribute("wangid").value(), 0)}});
      one["wangtiles"] = std::move(tiles);
      out.push_back(std::move(one));
    }
    return out;
  }

  const std::string& what_;
  const std::string_view xml_;
  Status status_;
};

}  // namespace

Result<Json> xml_to_json(std::string_view xml, const std::string& what) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed =
      document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_auto);
  if (!parsed) {
    return Error{ErrorCode::bad_message, fmt::format("{}:{}: not well-formed XML: {}; is the file cut off?", what,
                                                     line_and_column(xml, parsed.offset), parsed.description())};
  }
  Converter converter(what, xml);
  Json json = converter.root(document.document_element());
  if (!converter.status().ok()) return converter.status().error();
  return json;
}

}  // namespace terrazzo::formats

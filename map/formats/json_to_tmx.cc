#include <fmt/format.h>

#include <cstring>
#include <pugixml.hpp>
#include <sstream>

#include "map/formats/tmx_json.h"

namespace terrazzo::formats {
namespace {

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  return value.dump();
}

// Scalars become attributes; `skip` names those that are elements or something else in XML.
void attributes(const Json& object, pugi::xml_node node, std::initializer_list<std::string_view> skip) {
  for (const auto& [key, value] : object.items()) {
    const bool skipped = std::find(skip.begin(), skip.end(), key) != skip.end();
    if (!skipped && (value.is_number() || value.is_string() || value.is_boolean()))
      node.append_attribute(key.c_str()) = text_of(value).c_str();
  }
}

const char* type_of(const Json& value) {
  return value.is_boolean()          ? "bool"
         : value.is_number_integer() ? "int"
         : value.is_number()         ? "float"
         : value.is_object()         ? "class"
                                     : "string";
}

void property(pugi::xml_node list, const std::string& name, const std::string& type, const Json& value,
              const Json* custom) {
  pugi::xml_node node = list.append_child("property");
  node.append_attribute("name") = name.c_str();
  if (type != "string") node.append_attribute("type") = type.c_str();
  if (custom != nullptr) node.append_attribute("propertytype") = text_of(*custom).c_str();
  if (value.is_object()) {
    pugi::xml_node members = node.append_child("properties");
    for (const auto& [key, member] : value.items()) property(members, key, type_of(member), member, nullptr);
    return;
  }
  const std::string text = value.is_boolean() ? (value.get<bool>() ? "true" : "false") : text_of(value);
  if (text.find('\n') != std::string::npos) {
    node.text().set(text.c_str());
  } else {
    node.append_attribute("value") = text.c_str();
  }
}

void properties(const Json& object, pugi::xml_node node) {
  const auto found = object.find("properties");
  if (found == object.end() || !found->is_array() || found->empty()) return;
  pugi::xml_node list = node.append_child("properties");
  for (const Json& p : *found) {
    if (!p.is_object()) continue;
    const auto custom = p.find("propertytype");
    property(list, p.value("name", ""), p.value("type", "string"), p.value("value", Json("")),
             custom == p.end() ? nullptr : &*custom);
  }
}

void image(const Json& object, pugi::xml_node node) {
  if (!object.contains("image")) return;
  pugi::xml_node picture = node.append_child("image");
  picture.append_attribute("source") = text_of(object["image"]).c_str();
  if (object.contains("transparentcolor"))
    picture.append_attribute("trans") = text_of(object["transparentcolor"]).substr(1).c_str();
  for (const auto& [from, to] : {std::pair("imagewidth", "width"), std::pair("imageheight", "height")})
    if (object.contains(from)) picture.append_attribute(to) = text_of(object[from]).c_str();
}

void objects(const Json& group, pugi::xml_node node) {
  const auto list = group.find("objects");
  if (list == group.end() || !list->is_array()) return;
  for (const Json& object : *list) {
    if (!object.is_object()) continue;
    pugi::xml_node out = node.append_child("object");
    attributes(object, out, {"point", "ellipse", "capsule"});
    properties(object, out);
    for (const char* shape : {"point", "ellipse", "capsule"})
      if (object.value(shape, false)) out.append_child(shape);
    for (const char* shape : {"polygon", "polyline"}) {
      if (!object.contains(shape)) continue;
      std::string points;
      for (const Json& corner : object[shape])
        points += (points.empty() ? "" : " ") + text_of(corner.value("x", Json(0))) + "," +
                  text_of(corner.value("y", Json(0)));
      out.append_child(shape).append_attribute("points") = points.c_str();
    }
    if (const auto words = object.find("text"); words != object.end() && words->is_object()) {
      pugi::xml_node text = out.append_child("text");
      attributes(*words, text, {"text"});
      text.text().set(words->value("text", "").c_str());
    }
  }
}

void cells(const Json& holder, pugi::xml_node node) {
  const auto data = holder.find("data");
  if (data == holder.end()) return;
  if (data->is_string()) {
    node.text().set(data->get_ref<const std::string&>().c_str());
    return;
  }
  const Json::binary_t& bytes = data->get_binary();
  const std::size_t count = bytes.size() / 4;
  const std::size_t width = std::max<std::size_t>(holder.value("width", count), 1);
  std::string text = "\n";
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + i * 4, 4);
    const fmt::format_int digits(value);
    text.append(digits.data(), digits.size());
    if (i + 1 != count) text.push_back(',');
    if ((i + 1) % width == 0) text.push_back('\n');
  }
  node.text().set(text.c_str());
}

void layers(const Json& holder, pugi::xml_node node);

void layer(const Json& from, pugi::xml_node node) {
  const std::string type = from.value("type", "");
  const char* name = type == "tilelayer"     ? "layer"
                     : type == "objectgroup" ? "objectgroup"
                     : type == "imagelayer"  ? "imagelayer"
                                             : "group";
  pugi::xml_node out = node.append_child(name);
  attributes(from, out,
             {"type", "encoding", "compression", "image", "imagewidth", "imageheight", "transparentcolor", "startx",
              "starty", "data"});
  properties(from, out);
  if (type == "group") return layers(from, out);
  if (type == "objectgroup") return objects(from, out);
  if (type == "imagelayer") return image(from, out);
  pugi::xml_node data = out.append_child("data");
  for (const char* key : {"encoding", "compression"})
    if (const std::string value = from.value(key, ""); !value.empty()) data.append_attribute(key) = value.c_str();
  if (!from.contains("chunks")) return cells(from, data);
  for (const Json& chunk : from["chunks"]) {
    pugi::xml_node part = data.append_child("chunk");
    attributes(chunk, part, {"data"});
    cells(chunk, part);
  }
}

void layers(const Json& holder, pugi::xml_node node) {
  if (!holder.contains("layers")) return;
  for (const Json& one : holder["layers"]) layer(one, node);
}

void named(const Json& list, pugi::xml_node node, const char* element) {
  if (!list.is_array()) return;
  for (const Json& one : list) {
    if (!one.is_object()) continue;
    pugi::xml_node out = node.append_child(element);
    attributes(one, out, {});
    properties(one, out);
  }
}

std::string joined(const Json& list, bool negative_is_none) {
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i != 0) out += ",";
    if (!(negative_is_none && list[i].is_number_integer() && list[i].get<std::int64_t>() < 0)) out += text_of(list[i]);
  }
  return out;
}

void tileset(const Json& from, pugi::xml_node node) {
  pugi::xml_node out = node.append_child("tileset");
  out.append_attribute("firstgid") = text_of(from.value("firstgid", Json(1))).c_str();
  attributes(from, out, {"type", "firstgid", "image", "imagewidth", "imageheight", "transparentcolor"});
  for (const char* part : {"tileoffset", "grid", "transformations"})
    if (from.contains(part) && from[part].is_object()) attributes(from[part], out.append_child(part), {});
  properties(from, out);
  image(from, out);
  if (from.contains("terrains")) named(from["terrains"], out.append_child("terraintypes"), "terrain");
  if (from.contains("tiles") && from["tiles"].is_array()) {
    for (const Json& tile : from["tiles"]) {
      if (!tile.is_object()) continue;
      pugi::xml_node one = out.append_child("tile");
      attributes(tile, one, {"image", "imagewidth", "imageheight", "transparentcolor"});
      if (tile.contains("terrain") && tile["terrain"].is_array())
        one.append_attribute("terrain") = joined(tile["terrain"], true).c_str();
      properties(tile, one);
      image(tile, one);
      if (tile.contains("objectgroup") && tile["objectgroup"].is_object()) {
        pugi::xml_node group = one.append_child("objectgroup");
        attributes(tile["objectgroup"], group, {"type"});
        properties(tile["objectgroup"], group);
        objects(tile["objectgroup"], group);
      }
      if (tile.contains("animation")) named(tile["animation"], one.append_child("animation"), "frame");
    }
  }
  if (!from.contains("wangsets") || !from["wangsets"].is_array()) return;
  pugi::xml_node sets = out.append_child("wangsets");
  for (const Json& set : from["wangsets"]) {
    if (!set.is_object()) continue;
    pugi::xml_node one = sets.append_child("wangset");
    attributes(set, one, {});
    properties(set, one);
    named(set.value("colors", Json::array()), one, "wangcolor");
    for (const Json& tile : set.value("wangtiles", Json::array())) {
      pugi::xml_node wang = one.append_child("wangtile");
      wang.append_attribute("tileid") = text_of(tile.value("tileid", Json(0))).c_str();
      wang.append_attribute("wangid") = joined(tile.value("wangid", Json::array()), false).c_str();
    }
  }
}

}  // namespace

std::string map_json_to_xml(const Json& map) {
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  declaration.append_attribute("version") = "1.0";
  declaration.append_attribute("encoding") = "UTF-8";
  pugi::xml_node root = document.append_child("map");
  attributes(map, root, {"type"});
  properties(map, root);
  for (const Json& set : map["tilesets"]) tileset(set, root);
  layers(map, root);
  std::ostringstream text;
  document.save(text, " ");
  return text.str();
}

}  // namespace terrazzo::formats

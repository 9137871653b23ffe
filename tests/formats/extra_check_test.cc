#include <gtest/gtest.h>

#include <string>

#include "map/formats/tiled.h"

namespace terrazzo::formats {
namespace {

enum class Place : std::uint8_t { world, tileset, object_layer, image_layer, tile_layer };

// A small world whose `extra` of one place is what a server may answer.
map::World world_with(Place place, const std::string& extra) {
  map::World world;
  world.name = "w";
  world.tile_width = world.tile_height = 16;
  world.bounds = map::Rect{0, 0, 2, 2};
  map::Tileset set;
  set.first_tile = 1;
  set.tile_count = 4;
  set.columns = 2;
  set.tile_width = set.tile_height = 16;
  set.name = "t";
  if (place == Place::tileset) set.extra = extra;
  world.tilesets.push_back(set);
  map::Layer layer;
  layer.id = 3;
  layer.kind = place == Place::object_layer  ? map::LayerKind::object
               : place == Place::image_layer ? map::LayerKind::image
                                             : map::LayerKind::tile;
  if (place != Place::world && place != Place::tileset) layer.extra = extra;
  world.layers.push_back(layer);
  if (place == Place::world) world.extra = extra;
  return world;
}

CellSource no_cells() {
  CellSource source;
  source.read = [](map::LayerId, const map::Rect&, std::span<map::Cell> cells) -> Status {
    std::ranges::fill(cells, map::Cell{});
    return {};
  };
  return source;
}

struct Wrong {
  Place place;
  std::string extra, member, right;
};

const Wrong kWrong[] = {
    {Place::world, R"({"properties":5})", "properties", "an array"},
    {Place::world, R"({"properties":[7]})", "properties[0]", "an object"},
    {Place::world, R"({"properties":[{"name":7}]})", "properties[0].name", "text"},
    {Place::world, R"({"properties":[{"name":"a","type":[]}]})", "properties[0].type", "text"},
    {Place::tileset, R"({"tiles":{}})", "tiles", "an array"},
    {Place::tileset, R"({"tiles":[{"id":"x"}]})", "tiles[0].id", "a whole number"},
    {Place::tileset, R"({"tiles":[{"id":1,"terrain":{}}]})", "tiles[0].terrain", "an array"},
    {Place::tileset, R"({"tiles":[{"id":1,"animation":[3]}]})", "tiles[0].animation[0]", "an object"},
    {Place::tileset, R"({"tiles":[{"id":1,"objectgroup":{"objects":[{"ellipse":"no"}]}}]})",
     "tiles[0].objectgroup.objects[0].ellipse", "true or false"},
    {Place::tileset, R"({"terrains":9})", "terrains", "an array"},
    {Place::tileset, R"({"transparentcolor":""})", "transparentcolor", "#RRGGBB"},
    {Place::tileset, R"({"wangsets":{}})", "wangsets", "an array"},
    {Place::tileset, R"({"wangsets":[{"wangtiles":4}]})", "wangsets[0].wangtiles", "an array"},
    {Place::tileset, R"({"wangsets":[{"wangtiles":[4]}]})", "wangsets[0].wangtiles[0]", "an object"},
    {Place::tileset, R"({"wangsets":[{"wangtiles":[{"wangid":{}}]}]})", "wangtiles[0].wangid", "an array"},
    {Place::object_layer, R"({"objects":"x"})", "objects", "an array"},
    {Place::object_layer, R"({"objects":[{"point":1}]})", "objects[0].point", "true or false"},
    {Place::object_layer, R"({"objects":[{"polygon":5}]})", "objects[0].polygon", "an array"},
    {Place::object_layer, R"({"objects":[{"polygon":[5]}]})", "objects[0].polygon[0]", "an object"},
    {Place::object_layer, R"({"objects":[{"polygon":[{"x":"1 2","y":0}]}]})", "objects[0].polygon[0].x", "a number"},
    {Place::object_layer, R"({"objects":[{"text":{"text":5}}]})", "objects[0].text.text", "text"},
    {Place::object_layer, R"({"objects":[{"properties":[{"name":1}]}]})", "objects[0].properties[0].name", "text"},
    {Place::image_layer, R"({"image":5})", "image", "text"},
    {Place::image_layer, R"({"image":"a.png","image_hash":5})", "image_hash", "64"},
    {Place::image_layer, R"({"image":"a.png","image_hash":"../../shards"})", "image_hash", "64"},
    {Place::image_layer, R"({"image":"a.png","transparentcolor":""})", "transparentcolor", "#RRGGBB"},
    {Place::object_layer, R"({"a b=\"1\"><x ":1})", "a b", "under a name"},
};

TEST(ExtraCheck, AWrongMemberIsNamedWithWhatWouldBeRight) {
  for (const Wrong& c : kWrong) {
    SCOPED_TRACE(c.extra);
    const map::World world = world_with(c.place, c.extra);
    for (const auto exported : {export_tmx, export_tmj}) {
      if (exported == export_tmj && c.right == "under a name") continue;  // JSON takes any
      Result<std::string> text = Error{ErrorCode::internal, "nothing"};
      ASSERT_NO_THROW(text = exported(world, no_cells(), {}));
      ASSERT_FALSE(text.ok());
      EXPECT_EQ(text.error().code, ErrorCode::bad_message);
      EXPECT_NE(text.error().message.find(c.member), std::string::npos) << text.error().message;
      EXPECT_NE(text.error().message.find(c.right), std::string::npos) << text.error().message;
    }
  }
}

// Members that the export writes itself cannot come from `extra`: "data" of a foreign type reached the XML writer.
TEST(ExtraCheck, CellsComeFromTheWorldOnly) {
  const map::World world =
      world_with(Place::tile_layer, R"({"data":5,"chunks":7,"encoding":[],"compression":"zstd","layers":3})");
  Result<std::string> text = Error{ErrorCode::internal, "nothing"};
  ASSERT_NO_THROW(text = export_tmx(world, no_cells(), {}));
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_NE(text->find("encoding=\"csv\""), std::string::npos) << *text;
  EXPECT_EQ(text->find("zstd"), std::string::npos) << *text;
}

TEST(ExtraCheck, WhatTiledWritesPasses) {
  const map::World world = world_with(
      Place::tileset,
      R"({"transparentcolor":"#ff00ff","tiles":[{"id":1,"terrain":[0,1,-1,0],"animation":[{"tileid":1,"duration":9}],
      "objectgroup":{"objects":[{"id":1,"x":0.5,"y":1,"polygon":[{"x":0,"y":1.5}],"point":true}]}}],
      "wangsets":[{"name":"w","colors":[{"name":"c"}],"wangtiles":[{"tileid":1,"wangid":[0,1,0,1,0,1,0,1]}]}],
      "properties":[{"name":"p","type":"class","propertytype":"k","value":{"inner":{"deep":[1]}}}]})");
  for (const auto exported : {export_tmx, export_tmj}) {
    const Result<std::string> text = exported(world, no_cells(), {});
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_NE(text->find("wangid"), std::string::npos);
  }
}

}  // namespace
}  // namespace terrazzo::formats

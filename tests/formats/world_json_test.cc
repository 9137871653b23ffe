#include "map/formats/world_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace terrazzo::formats {
namespace {

using nlohmann::json;

map::World sample_world() {
  map::World world;
  world.id = WorldId{18446744073709551615u};
  world.name = "Küste \"süd\"";
  world.orientation = map::Orientation::staggered;
  world.tile_width = 16;
  world.tile_height = 24;
  world.bounds = map::Rect::of_size(-5, -7, 100, 200);
  world.extra = R"({"properties":[{"name":"a","type":"int","value":3}]})";
  map::Layer group;
  group.id = 9;
  group.kind = map::LayerKind::group;
  group.name = "Everything";
  map::Layer tiles;
  tiles.id = 255;
  tiles.parent = 9;
  tiles.name = "Ground";
  tiles.opacity = 0.1f;
  tiles.visible = false;
  tiles.locked = true;
  tiles.tint = 0x80FF0012;
  tiles.offset_x = -1.5f;
  tiles.offset_y = 1e-3f;
  tiles.parallax_x = 0.7f;
  tiles.parallax_y = -2;
  tiles.extra = R"({"class":"floor"})";
  world.layers = {group, tiles};
  map::Tileset sheet;
  sheet.first_tile = 1;
  sheet.tile_count = 6;
  sheet.name = "beach";
  sheet.tile_width = 16;
  sheet.tile_height = 16;
  sheet.columns = 3;
  sheet.margin = 1;
  sheet.spacing = 2;
  sheet.draw_offset_x = -4;
  sheet.draw_offset_y = 5;
  sheet.image = {std::string(64, 'a'), "art/beach.png", 48, 32};
  map::Tileset collection;
  collection.first_tile = 7;
  collection.tile_count = 4;
  collection.name = "things";
  collection.images = {{0, {std::string(64, '0'), "a.png", 8, 9}}, {3, {std::string(64, 'f'), "b.png", 10, 11}}};
  world.tilesets = {sheet, collection};
  return world;
}

// Comparing the JSON compares every field, because each is written.
void expect_same(const map::World& a, const map::World& b) {
  EXPECT_EQ(json::parse(world_to_json(a)), json::parse(world_to_json(b)));
  EXPECT_EQ(a.extra, b.extra);
}

std::string error_of(const std::string& text) {
  const Result<map::World> world = world_from_json(text);
  return world.ok() ? "(no error)" : std::string(error_code_name(world.error().code)) + ": " + world.error().message;
}

// The sample with one place (a JSON pointer) set to a value.
std::string changed(const std::string& pointer, const json& value) {
  json sample = json::parse(world_to_json(sample_world()));
  sample[json::json_pointer(pointer)] = value;
  return sample.dump();
}

TEST(WorldJson, EveryFieldSurvivesTheRoundTrip) {
  const map::World world = sample_world();
  const Result<map::World> back = world_from_json(world_to_json(world));
  ASSERT_TRUE(back.ok()) << back.error().message;
  expect_same(world, *back);
  EXPECT_EQ(back->id, world.id);
  EXPECT_EQ(back->bounds, world.bounds);
  EXPECT_EQ(back->layers[1].parent, map::LayerId{9});
  EXPECT_EQ(back->layers[1].opacity, 0.1f);
  EXPECT_EQ(back->layers[1].offset_y, 1e-3f);
  EXPECT_EQ(back->layers[1].tint, 0x80FF0012u);
  EXPECT_EQ(back->tilesets[1].images[1].image.name, "b.png");
}

TEST(WorldJson, FormIsAsDocumented) {
  const json form = json::parse(world_to_json(sample_world()));
  EXPECT_EQ(form["id"], "18446744073709551615");
  EXPECT_EQ(form["orientation"], "staggered");
  EXPECT_EQ(form["bounds"], json({-5, -7, 100, 200}));
  EXPECT_EQ(form["layers"][0]["kind"], "group");
  EXPECT_FALSE(form["layers"][0].contains("parent"));
  EXPECT_EQ(form["layers"][1]["tint"], "#80FF0012");
  EXPECT_EQ(form["layers"][1]["opacity"].dump(), "0.1");  // not 0.10000000149011612
  EXPECT_EQ(form["layers"][1]["extra"]["class"], "floor");
  EXPECT_EQ(form["extra"]["properties"][0]["value"], 3);
}

TEST(WorldJson, DefaultsFillWhatIsMissingAndUnknownFieldsAreIgnored) {
  const Result<map::World> world =
      world_from_json(R"({"name":"w","layers":[{"id":3}],"tilesets":[{"first_tile":1}],"colour":"blue"})");
  ASSERT_TRUE(world.ok()) << world.error().message;
  map::World expected;
  expected.name = "w";
  expected.layers.resize(1);
  expected.layers[0].id = 3;
  expected.tilesets.resize(1);
  expect_same(*world, expected);
  EXPECT_FALSE(world->bounds.has_value());
}

TEST(WorldJson, ErrorsNameTheFieldAndWhatWouldBeRight) {
  EXPECT_EQ(error_of("[]"), "bad_message: a world is an array; it must be an object");
  EXPECT_EQ(error_of("{}"), "bad_message: name is missing; it must be text of at most 255 bytes");
  EXPECT_EQ(error_of(R"({"name":""})"), "bad_message: the name of the world is empty; give it at least one character");
  EXPECT_EQ(error_of(changed("/id", 17)), "bad_message: id is 17; it must be a string of decimal digits, below 2^64");
  EXPECT_EQ(error_of(changed("/id", "18446744073709551616")).find("bad_message: id is"), 0u);
  EXPECT_EQ(error_of(changed("/orientation", "round")),
            "bad_message: orientation is \"round\"; it must be one of orthogonal, isometric, staggered, hexagonal");
  EXPECT_EQ(error_of(changed("/tile_width", 0)),
            "bad_message: tile_width is 0; it must be a whole number from 1 to 65536");
  EXPECT_EQ(error_of(changed("/tile_width", 1.5)),
            "bad_message: tile_width is 1.5; it must be a whole number from 1 to 65536");
  for (const json& bounds : {json({0, 0, 0, 5}), json({0, 0, 5}), json({0, 0, 5, 4294967297}), json("all"),
                             json({2147483647, 0, 2, 1}), json({0, 0, 1.5, 2}), json({0, 0, 18446744073709551615u, 2})})
    EXPECT_NE(error_of(changed("/bounds", bounds)).find("it must be [x, y, w, h] in cells"), std::string::npos)
        << bounds;
  EXPECT_EQ(error_of(changed("/layers/1/opacity", 1.5)),
            "bad_message: layers[1].opacity is 1.5; it must be a number from 0 to 1");
  EXPECT_EQ(error_of(changed("/layers/1/tint", "#fff")),
            "bad_message: layers[1].tint is \"#fff\"; it must be a colour written #AARRGGBB");
  EXPECT_EQ(error_of(changed("/layers/1/extra", "{}")), "bad_message: layers[1].extra is \"{}\"; it must be an object");
  EXPECT_EQ(error_of(changed("/layers/1/id", 256)),
            "bad_message: layers[1].id is 256; it must be a whole number from 0 to 255");
  EXPECT_EQ(error_of(changed("/layers/1/name", std::string(256, 'x'))).substr(0, 33),
            "bad_message: layers[1].name is \"x");
  EXPECT_EQ(error_of(changed("/tilesets/0/image/hash", "ABC")),
            "bad_message: the image hash of tileset 0 is not 64 lower-case hex digits (SHA-256) or empty");
}

TEST(WorldJson, RulesBetweenPartsAreChecked) {
  EXPECT_EQ(error_of(changed("/layers/1/id", 9)), "bad_message: layer 9 appears twice; layer ids must be unique");
  EXPECT_EQ(error_of(changed("/layers/1/parent", 4)),
            "bad_message: the parent 4 of layer 255 is not a group layer listed before it");
  EXPECT_EQ(error_of(changed("/layers/0/parent", 255)),
            "bad_message: the parent 255 of layer 9 is not a group layer listed before it");
  EXPECT_EQ(error_of(changed("/layers/0/kind", "tile")),
            "bad_message: the parent 9 of layer 255 is not a group layer listed before it");
  EXPECT_EQ(error_of(changed("/tilesets/1/first_tile", 6)),
            "bad_message: the tilesets \"beach\" and \"things\" overlap: tiles 1 to 6 and from 6");
  EXPECT_EQ(error_of(changed("/tilesets/1/first_tile", 268435455)).substr(0, 9), "too_large");
  EXPECT_EQ(error_of(changed("/tilesets/1/tile_count", 3)),
            "bad_message: tileset 1 has an image for tile 3 but only 3 tiles");
  EXPECT_EQ(error_of(changed("/tilesets/1/images/0/tile", 3)),
            "bad_message: the images of tileset 1 are not listed by increasing tile (3 after 3)");
  json many = json::parse(changed("/layers", json::array()));
  for (int i = 0; i < 257; ++i) many["layers"].push_back({{"id", i % 256}});
  EXPECT_EQ(error_of(many.dump()), "too_large: layers has 257 elements; at most 256 are allowed");
}

TEST(WorldJson, DeepNestingIsRefusedInsteadOfEatingTheStack) {
  const std::string deep = R"({"name":"w","extra":{"a":)" + std::string(1'000'000, '[');
  EXPECT_EQ(error_of(deep), "too_large: world: nested deeper than 128 levels");
}

TEST(WorldJson, EveryTruncationIsAnErrorWithItsOffset) {
  const std::string text = world_to_json(sample_world());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_EQ(error_of(text.substr(0, size)).find("bad_message: world: not valid JSON at byte "), 0u) << size;
}

TEST(WorldJson, NamesMustBeText) {
  map::World world = sample_world();
  world.name = "bad \xC3";
  EXPECT_EQ(check_world(world).error().message, "the name of the world is not UTF-8 text without NUL");
  EXPECT_NE(world_to_json(world).find("bad "), std::string::npos);  // writing does not throw
  EXPECT_EQ(error_of(changed("/name", std::string("a\0b", 3))),
            "bad_message: the name of the world is not UTF-8 text without NUL");
}

TEST(WorldJson, AnExtraThatIsNoObjectIsFoundByCheckAndLeftOutByWriting) {
  map::World world = sample_world();
  world.layers[0].extra = "[1]";
  EXPECT_EQ(check_world(world).error().message, "extra of layer 9 is not a JSON object");
  EXPECT_EQ(json::parse(world_to_json(world))["layers"][0]["extra"], json::object());
}

}  // namespace
}  // namespace terrazzo::formats

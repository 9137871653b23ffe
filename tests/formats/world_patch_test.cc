#include "map/formats/world_patch.h"

#include <gtest/gtest.h>

#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

map::World island() {
  auto world = world_from_json(
      R"({"id":"17","name":"island","tile_width":16,"bounds":[0,0,64,64],"extra":{"a":1},)"
      R"("layers":[{"id":1,"name":"Ground","opacity":0.5},{"id":2,"name":"Roofs"}],)"
      R"("tilesets":[{"first_tile":1,"tile_count":50,"name":"beach"},{"first_tile":51,"tile_count":9,"name":"huts"}]})");
  EXPECT_TRUE(world) << world.error().message;
  world->id = WorldId{17};
  return *std::move(world);
}

TEST(WorldPatch, ReplacesWhatItNamesAndNothingElse) {
  const map::World before = island();
  const auto after =
      patch_world(before, R"({"name":"isle","extra":{"b":2},"layers":[{"id":2,"name":"Tops","visible":false}],)"
                          R"("tilesets":[{"first_tile":51,"name":"houses","draw_offset_y":-4}]})");
  ASSERT_TRUE(after) << after.error().message;
  map::World expected = before;
  expected.name = "isle";
  expected.extra = R"({"b":2})";
  expected.layers[1].name = "Tops";
  expected.layers[1].visible = false;
  expected.tilesets[1].name = "houses";
  expected.tilesets[1].draw_offset_y = -4;
  EXPECT_EQ(world_to_json(*after), world_to_json(expected));
  EXPECT_EQ(after->id, WorldId{17});
  EXPECT_EQ(world_to_json(*patch_world(before, "{}")), world_to_json(before));
}

TEST(WorldPatch, WhatCellsHangOnStays) {
  for (const char* bad : {"",
                          "[]",
                          "7",
                          "{",
                          R"({"id":"18"})",
                          R"({"bounds":null})",
                          R"({"orientation":"isometric"})",
                          R"({"tile_width":8})",
                          R"({"layers":{}})",
                          R"({"layers":[7]})",
                          R"({"layers":[{"name":"x"}]})",
                          R"({"layers":[{"id":"1"}]})",
                          R"({"layers":[{"id":1,"kind":"object"}]})",
                          R"({"layers":[{"id":1,"parent":2}]})",
                          R"({"tilesets":[{"first_tile":1,"tile_count":60}]})",
                          R"({"tilesets":[{"first_tile":1,"columns":3}]})",
                          R"({"name":""})",
                          R"({"name":7})",
                          R"({"layers":[{"id":1,"opacity":"much"}]})",
                          R"({"layers":[{"id":1,"tint":"red"}]})"})
    EXPECT_EQ(patch_world(island(), bad).error().code, ErrorCode::bad_message) << bad;
  for (const char* nobody : {R"({"layers":[{"id":3,"name":"x"}]})", R"({"tilesets":[{"first_tile":2,"name":"x"}]})"})
    EXPECT_EQ(patch_world(island(), nobody).error().code, ErrorCode::not_found) << nobody;
  EXPECT_EQ(patch_world(island(), "{\"name\":\"" + std::string(256, 'x') + "\"}").error().code, ErrorCode::bad_message);
}

}  // namespace
}  // namespace terrazzo::formats

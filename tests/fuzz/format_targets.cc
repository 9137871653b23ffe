#include "base/assert.h"
#include "map/formats/tiled.h"
#include "map/formats/world_json.h"
#include "tests/fuzz/targets.h"

namespace terrazzo::fuzz {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const std::string kTileset =
    R"(<tileset firstgid="1" name="t" tilewidth="16" tileheight="16" tilecount="10" columns="5"/>)";

// A tileset or template that the map asks for; images are missing.
Result<std::string> read_beside(const std::string& path) {
  if (path == "t.tsx")
    return std::string(R"(<tileset name="t" tilewidth="16" tileheight="16" tilecount="4" columns="2"/>)");
  return Error{ErrorCode::not_found, "no file " + path};
}

void run_tiled(std::span<const std::byte> bytes) {
  // Limits of maps are for people's maps: what a few bytes can blow up to makes a fuzzer slow and finds nothing.
  const auto map = formats::import_tiled(text_of(bytes), "m.tmx", read_beside);
  if (!map) {
    TZ_ASSERT(!map.error().message.empty());
    return;
  }
  std::uint64_t cells = 0;
  for (const formats::LayerCells& layer : map->layers)
    for (const formats::CellBlock& block : layer.blocks) {
      TZ_ASSERT(block.cells.size() == static_cast<std::size_t>(block.rect.area()));
      cells += block.cells.size();
    }
  TZ_ASSERT(formats::check_world(map->world).ok());
  if (cells > 1u << 16) return;
  const auto exported = formats::export_tmj(map->world, formats::source_of(*map));
  if (!exported) return;  // for example a cell whose tile no tileset owns
  const auto again = formats::import_tiled(*exported, "m.tmj", read_beside);
  TZ_ASSERT(again.ok() || again.error().code == ErrorCode::not_found);
}

std::vector<std::string> tiled_seeds() {
  const auto map = [](const std::string& inside) {
    return R"(<map orientation="orthogonal" width="2" height="2" tilewidth="16" tileheight="16" infinite="0">)" +
           kTileset + inside + "</map>";
  };
  return {
      map(R"(<layer id="1" name="g" width="2" height="2"><data encoding="csv">0,1,2,2147483649</data></layer>)"),
      map(R"(<layer id="1" width="2" height="2"><data encoding="base64">AQAAAAIAAAADAAAAAAAAAA==</data></layer>)"),
      map(R"(<group id="2"><objectgroup id="3"><properties><property name="a" type="int" value="3"/></properties>)"
          R"(<object id="1" x="1.5" y="2"><polygon points="0,0 1,1 2,0"/></object><object id="2" gid="3"/>)"
          R"(</objectgroup><imagelayer id="4" name="i"/></group>)"),
      R"(<map orientation="isometric" infinite="1" tilewidth="8" tileheight="8"><tileset firstgid="1" source="t.tsx"/>)"
      R"(<layer id="1"><data encoding="csv"><chunk x="-16" y="0" width="2" height="1">1,4</chunk></data></layer></map>)",
      R"({"orientation":"orthogonal","width":1,"height":1,"tilewidth":16,"tileheight":16,"infinite":false,)"
      R"("tilesets":[{"firstgid":1,"name":"t","tilewidth":16,"tileheight":16,"tilecount":1,"columns":1}],)"
      R"("layers":[{"id":1,"type":"tilelayer","width":1,"height":1,"data":[1],"name":"g"}]})"};
}

void run_world_json(std::span<const std::byte> bytes) {
  const auto world = formats::world_from_json(text_of(bytes));
  if (!world) {
    TZ_ASSERT(!world.error().message.empty());
    return;
  }
  const std::string text = formats::world_to_json(*world);
  const auto again = formats::world_from_json(text);
  TZ_ASSERT(again.ok());
  TZ_ASSERT(formats::world_to_json(*again) == text);
}

std::vector<std::string> world_json_seeds() {
  return {R"({"name":"w","layers":[{"id":1}],"tilesets":[{"first_tile":1}]})",
          R"({"id":"17","name":"island","orientation":"orthogonal","tile_width":16,"tile_height":16,)"
          R"("bounds":[-5,0,100,200],"layers":[{"id":3,"kind":"group","name":"G"},{"id":1,"kind":"tile","parent":3,)"
          R"("opacity":0.5,"tint":"#80FF0102","offset_x":1.5,"extra":{"a":[1,null]}}],"tilesets":[{"first_tile":1,)"
          R"("tile_count":9,"columns":3,"images":[{"tile":0,"image":{"hash":")" +
              std::string(64, 'a') + R"(","name":"b.png","width":5,"height":4}}]}],"extra":{}})"};
}

}  // namespace

const Target kTiled{"tiled", run_tiled, tiled_seeds};
const Target kWorldJson{"world_json", run_world_json, world_json_seeds};

}  // namespace terrazzo::fuzz

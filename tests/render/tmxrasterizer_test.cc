// The renderer against Tiled's own: the example maps that the tiled package installs, of every orientation, pixel by
// pixel.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>

#include "map/formats/compression.h"
#include "map/formats/tiled.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

namespace fs = std::filesystem;
const fs::path kExamples = "/usr/share/doc/tiled/examples";

std::string file_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Example {
  const char* map;
  // Of the layers with objects only these are compared: outlines of objects without a tile are the editor's, not the
  // map's, and tmxrasterizer 1.8 leaves out the pictures of objects that come from templates.
  std::vector<std::string> object_layers;
  // Art that is rotated by other than quarter turns: the share of pixels that may differ, those along its edges.
  double differing_max = 0;
};

void PrintTo(const Example& example, std::ostream* out) {
  *out << example.map;
}

std::vector<Example> examples() {
  return {{"desert.tmx", {}},
          {"orthogonal-outside.tmx", {}},
          {"perspective_walls.tmx", {}},
          {"rpg/island.tmx", {}},
          {"sewers.tmx", {}},
          {"isometric_grass_and_water.tmx", {}},
          {"isometric_staggered_grass_and_water.tmx", {}},
          {"hexagonal-mini.tmx", {}},
          {"test_hexagonal_tile_60x60x30.tmx", {}, 0.00001},
          {"sticker-knight/map/sandbox.tmx",
           {"parallax", "background", "ground", "castle", "castledeco", "shading", "above"},
           0.0006},
          {"sticker-knight/map/sandbox2.tmx", {"background", "ground", "castledeco", "shading", "light", "above"}}};
}

// Of 8-bit colours: a few translucent pictures on each other, each rounded once more.
constexpr int kRounding = 2;

class Tmxrasterizer : public testing::TestWithParam<Example> {};

TEST_P(Tmxrasterizer, DrawsTheSamePixels) {
  if (!fs::exists("/usr/bin/tmxrasterizer") || !fs::exists(kExamples))
    GTEST_SKIP() << "the tiled package is not installed";
  const fs::path folder = fs::temp_directory_path() / ("terrazzo-render-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  fs::copy(kExamples, folder / "examples", fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  for (const auto& entry : fs::recursive_directory_iterator(folder / "examples")) {
    if (entry.path().extension() != ".gz") continue;
    const Result<std::string> plain =
        formats::decompress(file_bytes(entry.path()), formats::Compression::gzip, formats::kFileBytesMax);
    ASSERT_TRUE(plain.ok());
    std::ofstream(fs::path(entry.path()).replace_extension(), std::ios::binary) << *plain;
  }
  const fs::path map_file = folder / "examples" / GetParam().map, picture = folder / "tiled.png";
  const auto map = formats::import_tiled(
      file_bytes(map_file), map_file.filename().string(), [&](const std::string& relative) -> Result<std::string> {
        const fs::path path = map_file.parent_path() / relative;
        return fs::exists(path) ? Result<std::string>(file_bytes(path)) : Error{ErrorCode::not_found, "no " + relative};
      });
  ASSERT_TRUE(map.ok()) << map.error().message;
  map::World world = map->world;
  std::string hidden;
  for (map::Layer& layer : world.layers) {
    if (layer.kind != map::LayerKind::object || std::ranges::count(GetParam().object_layers, layer.name) != 0) continue;
    layer.visible = false;
    hidden += " --hide-layer '" + layer.name + "'";
  }
  // It draws no background.
  if (const std::size_t key = world.extra.find("backgroundcolor"); key != std::string::npos) world.extra[key] = '_';
  const map::Rect area = world.bounds ? *world.bounds : map->layers.at(0).area;
  const std::string command = "QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=/tmp tmxrasterizer" + hidden + " '" +
                              map_file.string() + "' '" + picture.string() + "' > /dev/null 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const TileArt art = TileArt::load(world, [&](const map::Asset& asset) -> Result<std::string> {
    return std::ranges::find(map->images, asset.hash, &formats::ImageFile::hash)->bytes;
  });
  EXPECT_TRUE(art.notes().empty());
  const formats::CellSource source = formats::source_of(*map);
  const Result<Image> ours = draw(world, art,
                                  [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
                                    ASSERT_TRUE(source.read(layer, rect, out).ok());
                                  },
                                  {area, 1});
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  const Result<Image> theirs = decode_png(file_bytes(picture));
  ASSERT_TRUE(theirs.ok());
  ASSERT_EQ(ours->width, theirs->width);
  ASSERT_EQ(ours->height, theirs->height);
  std::size_t different = 0, first = 0;
  int largest = 0;
  for (std::size_t i = 0; i < ours->rgba.size(); i += 4) {
    // By how much they differ where they are put on something: the less a pixel covers, the less its colour counts.
    int difference = std::abs(int{ours->rgba[i + 3]} - int{theirs->rgba[i + 3]});
    for (std::size_t c = 0; c < 3; ++c)
      difference = std::max(
          difference,
          std::abs(int{ours->rgba[i + c]} * ours->rgba[i + 3] - int{theirs->rgba[i + c]} * theirs->rgba[i + 3]) / 255);
    if (difference > kRounding && different++ == 0) first = i / 4;
    largest = std::max(largest, difference);
  }
  EXPECT_LE(static_cast<double>(different), GetParam().differing_max * static_cast<double>(ours->rgba.size() / 4))
      << different << " of " << ours->rgba.size() / 4 << " pixels differ, first at " << first % ours->width << ","
      << first / ours->width << "; largest difference " << largest;
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Examples, Tmxrasterizer, testing::ValuesIn(examples()), [](const auto& example) {
  std::string name = example.param.map;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

}  // namespace
}  // namespace terrazzo::render

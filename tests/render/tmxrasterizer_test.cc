// The renderer against Tiled's own: every orthogonal example map that the tiled package installs, pixel by pixel.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

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

std::vector<std::string> maps() {
  return {"desert.tmx", "orthogonal-outside.tmx", "perspective_walls.tmx", "rpg/island.tmx", "sewers.tmx"};
}

class Tmxrasterizer : public testing::TestWithParam<std::string> {};

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
  const fs::path map_file = folder / "examples" / GetParam(), picture = folder / "tiled.png";
  const auto map = formats::import_tiled(
      file_bytes(map_file), map_file.filename().string(), [&](const std::string& relative) -> Result<std::string> {
        const fs::path path = map_file.parent_path() / relative;
        return fs::exists(path) ? Result<std::string>(file_bytes(path)) : Error{ErrorCode::not_found, "no " + relative};
      });
  ASSERT_TRUE(map.ok()) << map.error().message;
  // Outlines of objects without a tile are the editor's, not the map's: layers with objects are left out on both sides.
  map::World world = map->world;
  std::string hidden;
  for (map::Layer& layer : world.layers) {
    if (layer.kind != map::LayerKind::object) continue;
    layer.visible = false;
    hidden += " --hide-layer '" + layer.name + "'";
  }
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
                                  {world.area(), 1});
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  const Result<Image> theirs = decode_png(file_bytes(picture));
  ASSERT_TRUE(theirs.ok());
  ASSERT_EQ(ours->width, theirs->width);
  ASSERT_EQ(ours->height, theirs->height);
  std::size_t different = 0, first = 0;
  int largest = 0;
  for (std::size_t i = 0; i < ours->rgba.size(); i += 4) {
    // What cannot be seen has no colour.
    if (ours->rgba[i + 3] == 0 && theirs->rgba[i + 3] == 0) continue;
    int difference = 0;
    for (std::size_t c = 0; c < 4; ++c)
      difference = std::max(difference, std::abs(int{ours->rgba[i + c]} - int{theirs->rgba[i + c]}));
    if (difference > 1 && different++ == 0) first = i / 4;
    largest = std::max(largest, difference);
  }
  EXPECT_EQ(different, 0u) << "first at " << first % ours->width << "," << first / ours->width
                           << "; largest difference " << largest;
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Examples, Tmxrasterizer, testing::ValuesIn(maps()), [](const auto& example) {
  std::string name = example.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

}  // namespace
}  // namespace terrazzo::render

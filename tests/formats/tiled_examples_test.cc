#include "tiled_examples.h"

#include <gtest/gtest.h>
#include <spng.h>

#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "map/formats/compression.h"
#include "map/formats/relative_path.h"
#include "map/formats/world_json.h"

namespace terrazzo::formats {

namespace fs = std::filesystem;

std::vector<fs::path> example_maps() {
  std::vector<fs::path> maps;
  const fs::path folder = "/usr/share/doc/tiled/examples";
  if (!fs::exists(folder)) return maps;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().string();
    if (name.ends_with(".tmx") || name.ends_with(".tmx.gz")) maps.push_back(entry.path());
  }
  std::ranges::sort(maps);
  return maps;
}

std::string file_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

FileReader reader_beside(const fs::path& map) {
  return [folder = map.parent_path()](const std::string& relative) -> Result<std::string> {
    const fs::path path = folder / relative;
    if (!fs::exists(path)) return Error{ErrorCode::not_found, "there is no file " + path.string()};
    return file_bytes(path);
  };
}

namespace {

class TiledExample : public testing::TestWithParam<fs::path> {
 protected:
  TiledMap import(const std::string& bytes, const FileReader& read) {
    Result<TiledMap> map = import_tiled(bytes, GetParam().filename().string(), read);
    EXPECT_TRUE(map.ok()) << map.error().message;
    return map.ok() ? *std::move(map) : TiledMap{};
  }
};

void expect_same_cells(const TiledMap& a, const TiledMap& b) {
  ASSERT_EQ(a.layers.size(), b.layers.size());
  const CellSource from_a = source_of(a), from_b = source_of(b);
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    const map::Rect area = a.layers[i].area;
    std::vector<map::Cell> cells_a(area.area()), cells_b(area.area());
    ASSERT_TRUE(from_a.read(a.layers[i].layer, area, cells_a).ok());
    ASSERT_TRUE(from_b.read(b.layers[i].layer, area, cells_b).ok());
    EXPECT_EQ(cells_a, cells_b) << "layer " << i;
  }
}

// Writes the map's images beside an export, as a person would have them.
void write_export(const TiledMap& map, const std::string& text, const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  for (const ExportedImage& image : export_images(map.world)) {
    const auto bytes = std::ranges::find(map.images, image.asset.hash, &ImageFile::hash);
    ASSERT_NE(bytes, map.images.end()) << image.path;
    fs::create_directories((file.parent_path() / image.path).parent_path());
    std::ofstream(file.parent_path() / image.path, std::ios::binary) << bytes->bytes;
  }
}

TEST_P(TiledExample, ComesBackFromEveryKindOfExport) {
  const TiledMap original = import(file_bytes(GetParam()), reader_beside(GetParam()));
  ASSERT_FALSE(original.world.layers.empty());
  const auto read_exported = [&](const std::string& path) -> Result<std::string> {
    for (const ExportedImage& image : export_images(original.world))
      if (image.path == path) return std::ranges::find(original.images, image.asset.hash, &ImageFile::hash)->bytes;
    return Error{ErrorCode::not_found, "no " + path};
  };
  for (const CellEncoding encoding : {CellEncoding::csv, CellEncoding::base64, CellEncoding::base64_zlib,
                                      CellEncoding::base64_gzip, CellEncoding::base64_zstd}) {
    for (const auto exported : {export_tmx, export_tmj}) {
      const Result<std::string> text = exported(original.world, source_of(original), {encoding, {}});
      ASSERT_TRUE(text.ok()) << text.error().message;
      TiledMap back = import(*text, read_exported);
      expect_same_cells(original, back);
      // Exporting once more changes nothing: what is kept is kept for good.
      back.world.name = original.world.name;
      const Result<std::string> again = exported(back.world, source_of(back), {encoding, {}});
      ASSERT_TRUE(again.ok());
      EXPECT_TRUE(*again == *text) << "the second export differs";
    }
  }
}

// 0–255 per channel; the largest difference of any.
int picture_difference(const fs::path& a, const fs::path& b) {
  const auto decode = [](const fs::path& path, spng_ihdr& header) {
    const std::string bytes = file_bytes(path);
    spng_ctx* context = spng_ctx_new(0);
    spng_set_png_buffer(context, bytes.data(), bytes.size());
    std::size_t size = 0;
    EXPECT_EQ(spng_get_ihdr(context, &header), 0) << path;
    EXPECT_EQ(spng_decoded_image_size(context, SPNG_FMT_RGBA8, &size), 0);
    std::vector<unsigned char> pixels(size);
    EXPECT_EQ(spng_decode_image(context, pixels.data(), size, SPNG_FMT_RGBA8, 0), 0);
    spng_ctx_free(context);
    return pixels;
  };
  spng_ihdr header_a{}, header_b{};
  const auto pixels_a = decode(a, header_a), pixels_b = decode(b, header_b);
  if (header_a.width != header_b.width || header_a.height != header_b.height) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < pixels_a.size(); ++i)
    largest = std::max(largest, std::abs(int{pixels_a[i]} - int{pixels_b[i]}));
  return largest;
}

TEST_P(TiledExample, TiledDrawsTheExportAsItDrawsTheOriginal) {
  if (!fs::exists("/usr/bin/tmxrasterizer")) GTEST_SKIP() << "tmxrasterizer is not installed";
  const std::string bytes = file_bytes(GetParam());
  const Result<std::string> plain_text =
      is_gzip(bytes) ? decompress(bytes, Compression::gzip, kFileBytesMax) : Result<std::string>(bytes);
  ASSERT_TRUE(plain_text.ok());
  if (plain_text->find(" template=") != std::string::npos)
    GTEST_SKIP() << "tmxrasterizer draws placeholders for objects with templates; the export has them resolved";
  const TiledMap map = import(bytes, reader_beside(GetParam()));
  const fs::path folder = fs::temp_directory_path() / ("terrazzo-examples-" + std::to_string(::getpid()));
  const auto draw = [&](const fs::path& file, const fs::path& picture) {
    const std::string command = "QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=/tmp tmxrasterizer --size 700 '" +
                                file.string() + "' '" + picture.string() + "' > /dev/null 2>&1";
    return std::system(command.c_str());
  };
  // The original, unpacked where dpkg packed it, among the files it refers to (some in the folder above).
  fs::create_directories(folder);
  const fs::path examples = "/usr/share/doc/tiled/examples";
  fs::copy(examples, folder / "original", fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  for (const auto& entry : fs::recursive_directory_iterator(folder / "original")) {
    if (entry.path().extension() != ".gz") continue;
    const Result<std::string> plain = decompress(file_bytes(entry.path()), Compression::gzip, kFileBytesMax);
    ASSERT_TRUE(plain.ok());
    std::ofstream(fs::path(entry.path()).replace_extension(), std::ios::binary) << *plain;
  }
  fs::path name = GetParam().filename();
  if (name.extension() == ".gz") name.replace_extension();
  const Result<std::string> text = export_tmx(map.world, source_of(map), {});
  ASSERT_TRUE(text.ok()) << text.error().message;
  write_export(map, *text, folder / "export" / name);
  const fs::path original = folder / "original" / fs::relative(GetParam().parent_path(), examples) / name;
  ASSERT_EQ(draw(original, folder / "original.png"), 0);
  ASSERT_EQ(draw(folder / "export" / name, folder / "export.png"), 0);
  EXPECT_EQ(picture_difference(folder / "original.png", folder / "export.png"), 0);
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Maps, TiledExample, testing::ValuesIn(example_maps()), [](const auto& example) {
  std::string name = fs::relative(example.param, example.param.parent_path().parent_path()).string();
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TiledExample);

TEST(TiledTruncated, EveryCutIsAnErrorThatNamesTheFile) {
  for (const fs::path& path : example_maps()) {
    if (path.extension() == ".gz") continue;
    const std::string bytes = file_bytes(path);
    for (std::size_t size = 0; size + 40 < bytes.size(); size += 997) {
      const Result<TiledMap> map =
          import_tiled(std::string_view(bytes).substr(0, size), "cut.tmx", reader_beside(path));
      ASSERT_FALSE(map.ok()) << path << " cut at " << size;
      EXPECT_NE(map.error().message.find("cut.tmx"), std::string::npos) << map.error().message;
    }
  }
}

}  // namespace
}  // namespace terrazzo::formats

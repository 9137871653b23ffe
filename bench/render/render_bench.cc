// How long a picture takes and how much memory: of a map file, or of a made world of any number of cells, whose cells
// are computed. Prints a hash of the pixels, so that two builds can be compared byte for byte.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "map/formats/sha256.h"
#include "map/formats/tiled.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string map, png, orientation = "isometric";
  std::int64_t x = 0, y = 0, cells = 1000, rows = 0;
  std::uint32_t tile_width = 64, tile_height = 32, art = 64;
  double scale = 1;
  bool bounded = false;
};

std::string file_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int finish(const Options& options, const Result<Image>& image, std::chrono::steady_clock::time_point began) {
  if (!image) {
    fmt::print(stderr, "{}\n", image.error().message);
    return 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const std::string_view pixels(reinterpret_cast<const char*>(image->rgba.data()), image->rgba.size());
  fmt::print("{}x{} pixels in {:.2f} s ({:.2f} s CPU), {:.1f} MiB resident at most, {}\n", image->width, image->height,
             seconds, static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) / 1e6,
             static_cast<double>(usage.ru_maxrss) / 1024, formats::sha256_hex(pixels).substr(0, 16));
  if (!options.png.empty()) std::ofstream(options.png, std::ios::binary) << *encode_png(*image);
  return 0;
}

int draw_file(const Options& options) {
  const fs::path path = options.map;
  const auto map = formats::import_tiled(
      file_bytes(path), path.filename().string(), [&](const std::string& relative) -> Result<std::string> {
        const fs::path at = path.parent_path() / relative;
        return fs::exists(at) ? Result<std::string>(file_bytes(at)) : Error{ErrorCode::not_found, "no " + relative};
      });
  if (!map) {
    fmt::print(stderr, "{}\n", map.error().message);
    return 1;
  }
  const TileArt art = TileArt::load(map->world, [&](const map::Asset& asset) -> Result<std::string> {
    return std::ranges::find(map->images, asset.hash, &formats::ImageFile::hash)->bytes;
  });
  const formats::CellSource source = formats::source_of(*map);
  const CellReader reader = [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
    if (!source.read(layer, rect, out).ok()) std::ranges::fill(out, map::Cell{});
  };
  const map::Rect area = map->world.bounds ? *map->world.bounds : map->layers.at(0).area;
  const auto began = std::chrono::steady_clock::now();
  return finish(options, draw(map->world, art, reader, {area, options.scale}), began);
}

// Two tiles of `art` pixels in both directions, cells that are a hash of their position: one of eight is empty.
int draw_made(const Options& options) {
  map::World world;
  world.orientation = options.orientation == "orthogonal"  ? map::Orientation::orthogonal
                      : options.orientation == "staggered" ? map::Orientation::staggered
                      : options.orientation == "hexagonal" ? map::Orientation::hexagonal
                                                           : map::Orientation::isometric;
  world.tile_width = options.tile_width;
  world.tile_height = options.tile_height;
  world.layers.emplace_back();
  map::Tileset& set = world.tilesets.emplace_back();
  set.tile_count = set.columns = 2;
  set.tile_width = set.tile_height = options.art;
  Image sheet{2 * options.art, options.art, {}};
  for (std::uint32_t i = 0; i < sheet.width * sheet.height; ++i)
    for (const std::uint32_t value : {i * 7, i * 3, i / sheet.width * 5, i % 3 == 0 ? 120u : 255u})
      sheet.rgba.push_back(static_cast<std::uint8_t>(value));
  const std::string png = *encode_png(sheet);
  set.image = {formats::sha256_hex(png), "made.png", sheet.width, sheet.height};
  const TileArt art = TileArt::load(world, [&](const map::Asset&) -> Result<std::string> { return png; });
  const CellReader reader = [](map::LayerId, const map::Rect& rect, std::span<map::Cell> out) {
    std::size_t i = 0;
    for (std::int64_t y = rect.y0; y < rect.y1; ++y)
      for (std::int64_t x = rect.x0; x < rect.x1; ++x) {
        const std::uint64_t hash = static_cast<std::uint64_t>(x * 0x9E3779B1 + y * 0x85EBCA77) * 0xC2B2AE3D27D4EB4F;
        out[i++] = map::Cell{hash >> 61 == 0 ? 0u : 1u + static_cast<std::uint32_t>(hash >> 60 & 1)};
      }
  };
  const map::Rect view =
      map::Rect::of_size(options.x, options.y, options.cells, options.rows == 0 ? options.cells : options.rows);
  if (options.bounded) world.bounds = view;
  const auto began = std::chrono::steady_clock::now();
  return finish(options, draw(world, art, reader, {view, options.scale}), began);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Draws a map file, or a made world, and says what it took."};
  app.add_option("--map", options.map, "a map of Tiled's, drawn whole");
  app.add_option("--orientation", options.orientation, "of the made world");
  app.add_option("--cells", options.cells, "columns of the made world's view");
  app.add_option("--rows", options.rows, "rows of it; as many as columns");
  app.add_option("--x", options.x, "first column");
  app.add_option("--y", options.y, "first row");
  app.add_option("--tile-width", options.tile_width, "of the grid, pixels");
  app.add_option("--tile-height", options.tile_height, "of the grid, pixels");
  app.add_option("--art", options.art, "width and height of the tiles' pictures, pixels");
  app.add_flag("--bounded", options.bounded, "there are no cells beside the view");
  app.add_option("--scale", options.scale, "pixels of the picture per pixel of the art");
  app.add_option("--png", options.png, "where to put the picture");
  CLI11_PARSE(app, argc, argv);
  return options.map.empty() ? draw_made(options) : draw_file(options);
}

}  // namespace
}  // namespace terrazzo::render

int main(int argc, char** argv) {
  return terrazzo::render::run(argc, argv);
}

#include "terrazzo/render.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

// What one subscription may ask for, with room for several layers.
constexpr std::int64_t kBand = 64 * map::kChunkSize;

struct Piece {
  map::LayerId layer = 0;
  map::Rect cells;
};

// All cells that the picture may show. Layers that are moved far, and tiles that are larger than a cell, show cells
// beside the view.
std::vector<Piece> pieces(const map::World& world, const render::TileArt& art, const render::View& view) {
  std::vector<Piece> all;
  for (const map::Layer& layer : world.layers) {
    const map::Rect area = render::cells_shown(world, art, layer, view);
    for (std::int64_t y = area.y0; y < area.y1; y += kBand)
      for (std::int64_t x = area.x0; x < area.x1; x += kBand)
        all.push_back({layer.id, map::Rect::of_size(x, y, kBand, kBand).intersect(area)});
  }
  return all;
}

// Subscribes to them, one after the other, and leaves them in the client's cache.
Status fetch_all(client::Client& client, const std::vector<Piece>& all) {
  Progress progress("cells", all.size());
  std::uint64_t done = 0;
  for (const Piece& piece : all) {
    const Result<client::SubscriptionId> sub = fetch(client, piece.cells, {&piece.layer, 1});
    if (!sub) return sub.error();
    client.unsubscribe(*sub);
    progress.at(++done);
  }
  return {};
}

}  // namespace

Status render(const CommandLine& line) {
  Result<std::unique_ptr<client::Client>> client = enter(line, line.world);
  if (!client) return client.error();
  const map::World world = *(*client)->world();
  if (!line.rect && !world.bounds)
    return Error{ErrorCode::bad_message, "the world is infinite: say which part to draw, for example --rect 0,0,64,64"};
  render::View view{line.rect.value_or(world.bounds.value_or(map::Rect{})), line.scale};
  HttpClient http(line.server, line.token, line.ca_file);
  const render::TileArt art =
      render::TileArt::load(world, [&](const map::Asset& asset) { return get_asset(http, line.world, asset.hash); });
  for (const std::string& note : art.notes()) fmt::print(stderr, "terrazzo render: {}; its tiles are left out\n", note);
  if (Status fetched = fetch_all(**client, pieces(world, art, view)); !fetched) return fetched;
  const auto began = std::chrono::steady_clock::now();
  const Result<render::Image> image = render::draw(
      world, art,
      [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) {
        (*client)->read_rect(layer, rect, out);
      },
      view);
  if (!image) return image.error();
  const double drawing_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  const Result<std::string> png = render::encode_png(*image);
  if (!png) return png.error();
  std::ofstream file(line.file, std::ios::binary);
  file.write(png->data(), static_cast<std::streamsize>(png->size()));
  file.flush();
  if (!file)
    return Error{ErrorCode::internal, line.file + " cannot be written: does the folder exist, and is there room?"};
  fmt::print("{}: {}×{} pixels, drawn in {:.1f} ms\n", line.file, image->width, image->height, drawing_ms);
  return {};
}

}  // namespace terrazzo::cli

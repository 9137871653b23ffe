#include "terrazzo/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/server.h"

namespace terrazzo::cli {
namespace {

// What one subscription may ask for, with room for several layers.
constexpr std::int64_t kBand = 64 * map::kChunkSize;

// Subscribes to everything the picture shows, in pieces, and leaves it in the client's cache.
Status fetch_all(client::Client& client, const map::Rect& area, const std::vector<map::LayerId>& layers) {
  const std::int64_t columns = (area.width() + kBand - 1) / kBand, rows = (area.height() + kBand - 1) / kBand;
  Progress progress("cells", static_cast<std::uint64_t>(columns * rows) * layers.size());
  std::uint64_t done = 0;
  for (const map::LayerId layer : layers)
    for (std::int64_t y = area.y0; y < area.y1; y += kBand)
      for (std::int64_t x = area.x0; x < area.x1; x += kBand) {
        const map::Rect piece = map::Rect::of_size(x, y, kBand, kBand).intersect(area);
        const Result<client::SubscriptionId> sub = fetch(client, piece, {&layer, 1});
        if (!sub) return sub.error();
        client.unsubscribe(*sub);
        progress.at(++done);
      }
  return {};
}

}  // namespace

Status render(const CommandLine& line) {
  CommandLine roomy = line;
  Result<std::unique_ptr<client::Client>> client = enter(roomy, line.world);
  if (!client) return client.error();
  const map::World world = *(*client)->world();
  if (!line.rect && !world.bounds)
    return Error{ErrorCode::bad_message, "the world is infinite: say which part to draw, for example --rect 0,0,64,64"};
  render::View view{line.rect.value_or(world.bounds.value_or(map::Rect{})), line.scale};
  HttpClient http(line.server, line.token);
  const render::TileArt art =
      render::TileArt::load(world, [&](const map::Asset& asset) { return get_asset(http, line.world, asset.hash); });
  for (const std::string& note : art.notes()) fmt::print(stderr, "terrazzo render: {}; its tiles are left out\n", note);
  constexpr std::int64_t kReach = 64;  // cells around, whose tiles may be larger than a cell
  const map::Rect area =
      map::Rect{view.cells.x0 - kReach, view.cells.y0 - kReach, view.cells.x1 + kReach, view.cells.y1 + kReach}
          .intersect(world.area());
  if (!area.empty())
    if (Status fetched = fetch_all(**client, area, tile_layers(world)); !fetched) return fetched;
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

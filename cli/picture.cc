#include "cli/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/progress.h"
#include "cli/http_client.h"
#include "cli/remote_cells.h"
#include "cli/server.h"
#include "map/formats/world_json.h"

namespace terrazzo::cli {
namespace {

// What one subscription may ask for, with room for several layers.
constexpr std::int64_t kBand = 64 * map::kChunkSize;

Status fetch_all(RemoteCells& cells, const std::vector<Piece>& pieces, const char* what) {
  Progress progress(what, pieces.size());
  std::uint64_t done = 0;
  for (const Piece& piece : pieces) {
    if (Status fetched = cells.fetch(piece.layer, piece.cells); !fetched) return fetched;
    progress.at(++done);
  }
  return {};
}

// The cells of the view, layer by layer, in both states.
class Comparison {
 public:
  Comparison(const map::Rect& view) : view_(view), marks_(view.area(), render::Mark::none) {}

  void compare(map::LayerId layer, const RemoteCells& older, const RemoteCells& newer) {
    std::vector<map::Cell> was(marks_.size()), is(marks_.size());
    older.read(layer, view_, was);
    newer.read(layer, view_, is);
    for (std::size_t i = 0; i < marks_.size(); ++i) {
      if (was[i] == is[i]) continue;
      const render::Mark mark = was[i].empty()  ? render::Mark::added
                                : is[i].empty() ? render::Mark::removed
                                                : render::Mark::changed;
      // Where layers say different things, something is there and has changed.
      marks_[i] = marks_[i] == render::Mark::none || marks_[i] == mark ? mark : render::Mark::changed;
    }
  }
  render::Mark at(std::int64_t x, std::int64_t y) const {
    return marks_[static_cast<std::size_t>((y - view_.y0) * view_.width() + x - view_.x0)];
  }
  std::int64_t count(render::Mark mark) const { return std::ranges::count(marks_, mark); }

 private:
  const map::Rect view_;
  std::vector<render::Mark> marks_;
};

}  // namespace

Result<Drawing> begin_drawing(const CommandLine& line, const map::World& metadata) {
  if (!line.rect && !metadata.bounds)
    return Error{ErrorCode::bad_message, "the world is infinite: say which part to draw, for example --rect 0,0,64,64"};
  HttpClient http(line.server, line.token, line.ca_file);
  render::TileArt art = render::TileArt::load(
      metadata, [&](const map::Asset& asset) { return get_asset(http, line.world, asset.hash); });
  for (const std::string& note : art.notes())
    fmt::print(stderr, "terrazzo {}: {}; its tiles are left out\n", line.command, note);
  return Drawing{metadata, std::move(art), {line.rect.value_or(metadata.bounds.value_or(map::Rect{})), line.scale}};
}

// Layers that are moved far, and tiles that are larger than a cell, show cells beside the view.
std::vector<Piece> pieces_of(const Drawing& drawing) {
  std::vector<Piece> all;
  for (const map::Layer& layer : drawing.world.layers) {
    const map::Rect area = render::cells_shown(drawing.world, drawing.art, layer, drawing.view);
    for (std::int64_t y = area.y0; y < area.y1; y += kBand)
      for (std::int64_t x = area.x0; x < area.x1; x += kBand)
        all.push_back({layer.id, map::Rect::of_size(x, y, kBand, kBand).intersect(area)});
  }
  return all;
}

Status save_picture(const std::string& file, const render::Image& image) {
  const Result<std::string> png = render::encode_png(image);
  if (!png) return png.error();
  std::ofstream out(file, std::ios::binary);
  out.write(png->data(), static_cast<std::streamsize>(png->size()));
  out.flush();
  if (out) return {};
  return Error{ErrorCode::internal, file + " cannot be written: does the folder exist, and is there room?"};
}

Result<map::World> metadata_of(const CommandLine& line, const std::string& world) {
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> text = http.request("GET", "/v1/worlds/" + percent_encode(world));
  if (!text) return text.error();
  return formats::world_from_json(*text);
}

Status draw_diff(const CommandLine& line, const WorldState& older, const WorldState& newer) {
  const Result<map::World> world = metadata_of(line, newer.world);
  if (!world) return world.error();
  const Result<Drawing> drawing = begin_drawing(line, *world);
  if (!drawing) return drawing.error();
  const Result<std::vector<map::LayerId>> layers = chosen_layers(*world, line.layer, tile_layers(*world));
  if (!layers) return layers.error();
  const map::Rect& view = drawing->view.cells;
  if (view.area() > RemoteCells::kCellsMax / 8)
    return Error{ErrorCode::too_large, fmt::format("at most {} million cells are compared in one picture: draw a part of "
                                                   "it (--rect X,Y,W,H)",
                                                   RemoteCells::kCellsMax >> 23)};
  RemoteCells was(line, older.world, older.query), is(line, newer.world, newer.query);
  if (Status fetched = fetch_all(is, pieces_of(*drawing), "cells"); !fetched) return fetched;
  Comparison comparison(view);
  for (const map::LayerId layer : *layers) {
    for (RemoteCells* const state : {&was, &is})
      if (Status fetched = state->fetch(layer, view); !fetched) return fetched;
    comparison.compare(layer, was, is);
  }
  Result<render::Image> image = render::draw(
      drawing->world, drawing->art,
      [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out) { is.read(layer, rect, out); },
      drawing->view);
  if (!image) return image.error();
  render::mark_cells(*image, drawing->world, drawing->view,
                     [&](std::int64_t x, std::int64_t y) { return comparison.at(x, y); });
  if (Status saved = save_picture(line.file, *image); !saved) return saved;
  fmt::print("{}: {} cells that were empty (green), {} that are now (red), {} that hold another tile (amber)\n", line.file,
             comparison.count(render::Mark::added), comparison.count(render::Mark::removed),
             comparison.count(render::Mark::changed));
  return {};
}

}  // namespace terrazzo::cli

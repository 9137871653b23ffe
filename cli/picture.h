#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command_line.h"
#include "map/world.h"
#include "terrazzo/render.h"

// What commands that draw a part of a world share.
namespace terrazzo::cli {

struct Drawing {
  map::World world;
  render::TileArt art;
  render::View view;
};
// Of the command line's world, rectangle and scale, with the world's images; `metadata`: the world's.
Result<Drawing> begin_drawing(const CommandLine& line, const map::World& metadata);

struct Piece {
  map::LayerId layer = 0;
  map::Rect cells;
};
// All cells that the picture may show, in pieces that one subscription may ask for.
std::vector<Piece> pieces_of(const Drawing& drawing);
// Writes the PNG file.
Status save_picture(const std::string& file, const render::Image& image);

// The metadata of a world, over HTTP.
Result<map::World> metadata_of(const CommandLine& line, const std::string& world);

// A state of a world or branch.
struct WorldState {
  std::string world;
  std::string query;  // as RemoteCells takes it
};
// Draws the newer one into the command line's PNG file, with the cells pointed out in which they differ.
Status draw_diff(const CommandLine& line, const WorldState& older, const WorldState& newer);

}  // namespace terrazzo::cli

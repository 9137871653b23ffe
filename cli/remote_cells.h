#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/http_client.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

namespace terrazzo::cli {

// Cells of one state of a world or branch, as they are, were at a time, or are in a version, fetched over HTTP and kept.
class RemoteCells {
 public:
  static constexpr std::uint64_t kCellsMax = std::uint64_t{1} << 28;  // kept at once: a gigabyte

  // `state`: what an address says of it, at_ms=… or version=…; empty: the present one.
  RemoteCells(const CommandLine& line, std::string world, std::string state)
      : http_(line.server, line.token, line.ca_file), world_(std::move(world)), state_(std::move(state)) {}

  // too_large, and what the server answers.
  Status fetch(map::LayerId layer, const map::Rect& cells);
  // Row by row; what was not fetched is empty.
  void read(map::LayerId layer, const map::Rect& cells, std::span<map::Cell> out) const;

 private:
  static constexpr int kTileShift = 9;  // 512×512 cells at a time
  static constexpr std::int64_t kTile = std::int64_t{1} << kTileShift;
  using Key = std::tuple<map::LayerId, std::int64_t, std::int64_t>;  // y, x
  Result<std::vector<map::Cell>> ask(const Key& key);

  HttpClient http_;
  std::string world_, state_;
  std::map<Key, std::vector<map::Cell>> tiles_;
};

}  // namespace terrazzo::cli

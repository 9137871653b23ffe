#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "cli/commands.h"
#include "cli/server.h"
#include "map/formats/world_json.h"
#include "terrazzo/local_shard.h"

namespace terrazzo::cli {
namespace {

namespace fs = std::filesystem;

// By name or id, from what the server keeps in its data folder.
Result<map::World> find_world(const std::string& data, const std::string& wanted) {
  std::error_code error;
  std::string known;
  for (const fs::directory_entry& folder : fs::directory_iterator(fs::path(data) / "worlds", error)) {
    std::ifstream file(folder.path() / "world.json", std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const Result<map::World> world = formats::world_from_json(text);
    if (!file || !world) continue;
    if (world->name == wanted || folder.path().filename() == wanted) return *world;
    known += (known.empty() ? "" : ", ") + world->name;
  }
  if (error)
    return Error{ErrorCode::not_found,
                 data + " is no data folder of a server that you may read: it has no folder worlds"};
  return Error{ErrorCode::not_found, fmt::format("there is no world \"{}\" in {}; there are: {}", wanted, data,
                                                 known.empty() ? "none" : known)};
}

// The shards that an area touches, each at one moment. Those without a file have no cells.
class Area {
 public:
  static Result<Area> open(const std::string& data, const map::World& world, const map::Rect& cells) {
    Area area;
    const map::Rect shards = map::shards_of(cells);
    for (std::int64_t y = shards.y0; y < shards.y1; ++y)
      for (std::int64_t x = shards.x0; x < shards.x1; ++x) {
        const map::ShardPos at{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
        // The server looks every --publish-ms whether somebody has come; two seconds are plenty.
        auto shard = client::LocalShard::open(client::local_shard_file(data, world.id, at), std::chrono::seconds(2));
        if (shard) {
          area.shards_.push_back(*std::move(shard));
        } else if (shard.error().code == ErrorCode::overloaded) {
          return Error{shard.error().code,
                       shard.error().message + ". A server opens a shard when somebody looks there or paints: " +
                           fmt::format("terrazzo watch {} --once --rect {},{},1,1", world.name, x * 8192, y * 8192)};
        } else if (shard.error().code != ErrorCode::not_found) {
          return shard.error();
        }
      }
    return area;
  }
  Status read_row(map::LayerId layer, const map::Rect& row, std::vector<map::Cell>& out) const {
    out.assign(row.area(), map::Cell{});
    for (const auto& shard : shards_) {
      const map::Rect part = map::cells_of(shard->position()).intersect(row);
      if (part.empty()) continue;
      const std::span<map::Cell> to(out.begin() + (part.x0 - row.x0), part.area());
      if (Status read = shard->read(layer, part, to); !read) return read;
    }
    return {};
  }
  std::string describe() const {
    std::string text;
    for (const auto& shard : shards_)
      text += fmt::format("{}shard {},{} after edit {}", text.empty() ? "" : ", ", shard->position().x,
                          shard->position().y, shard->lsn().value);
    return text.empty() ? "nobody has painted there yet" : text;
  }

 private:
  std::vector<std::unique_ptr<client::LocalShard>> shards_;
};

}  // namespace

Status read_local(const CommandLine& line) {
  const Result<map::World> world = find_world(line.data, line.world);
  if (!world) return world.error();
  const Result<map::LayerId> layer = tile_layer(*world, line.layer);
  if (!layer) return layer.error();
  client::guard_local_shards();
  const Result<Area> area = Area::open(line.data, *world, *line.rect);
  if (!area) return area.error();
  fmt::print(stderr, "\"{}\", layer \"{}\" ({}), {} by {} cells from {},{}: {}\n", world->name,
             world->find_layer(*layer)->name, *layer, line.rect->width(), line.rect->height(), line.rect->x0,
             line.rect->y0, area->describe());
  std::vector<map::Cell> cells;
  std::string text;
  for (std::int64_t y = line.rect->y0; y < line.rect->y1; ++y) {
    if (Status read = area->read_row(*layer, map::Rect{line.rect->x0, y, line.rect->x1, y + 1}, cells); !read)
      return read;
    text.clear();
    for (const map::Cell cell : cells) fmt::format_to(std::back_inserter(text), "{},", cell.bits);
    text.back() = '\n';
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
      return Error{ErrorCode::internal, "the output cannot be written"};
  }
  return {};
}

}  // namespace terrazzo::cli

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/server.h"
#include "map/edit_apply.h"
#include "map/formats/tiled.h"
#include "map/formats/world_json.h"

namespace terrazzo::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// As much as one edit carries, well below every server's limits.
constexpr std::size_t kCellsPerEdit = 32 * 1024, kOpsPerEdit = 64, kEditsInFlight = 64;

Result<std::string> read_file(const fs::path& path) {
  std::error_code error;
  if (const auto status = fs::status(path, error); fs::exists(status) && !fs::is_regular_file(status))
    return Error{ErrorCode::bad_message, path.string() + " is a folder, device or pipe; it must be a plain file"};
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error{ErrorCode::not_found, path.string() + " cannot be opened: is the name right, and may you read it?"};
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Sends cells in edits of a good size, chunk by chunk; what is empty is not sent.
class Painter {
 public:
  explicit Painter(client::Client& client) : client_(client) {}

  Status add(map::LayerId layer, const map::Rect& rect, std::span<const map::Cell> cells) {
    if (std::ranges::all_of(cells, [](map::Cell c) { return c.empty(); })) return {};
    if (std::ranges::all_of(cells, [&](map::Cell c) { return c == cells[0]; })) {
      draft_.fill(layer, rect, cells[0]);
    } else {
      draft_.set(layer, rect, cells);
      cells_ += cells.size();
    }
    ++ops_;
    return cells_ + map::kChunkCells > kCellsPerEdit || ops_ >= kOpsPerEdit ? send() : Status();
  }
  Status finish() {
    if (Status sent = send(); !sent) return sent;
    if (!client_.wait_durable(60s))
      return Error{ErrorCode::overloaded, "the server did not confirm everything within a minute"};
    return failed_;
  }

 private:
  Status send() {
    if (draft_.empty()) return {};
    const Result<EditId> id = client_.edit(draft_, map::AckMode::durable, [this](const client::Event& event) {
      const auto* rejected = std::get_if<client::EditRejected>(&event);
      if (rejected != nullptr && failed_) failed_ = rejected->error;
    });
    if (!id) return id.error();
    draft_.clear();
    cells_ = ops_ = 0;
    if (!client_.wait_until([&] { return client_.edits_waiting() < kEditsInFlight || !failed_; }, 60s))
      return Error{ErrorCode::overloaded, "the server has not confirmed an edit for a minute"};
    return failed_;
  }

  client::Client& client_;
  client::EditDraft draft_;
  std::size_t cells_ = 0, ops_ = 0;
  Status failed_;
};

Status put_images(HttpClient& http, const formats::TiledMap& map, const std::string& world) {
  Progress progress("images", map.images.size());
  std::uint64_t done = 0;
  for (const formats::ImageFile& image : map.images) {
    const Result<std::string> put =
        http.request("PUT", "/v1/worlds/" + percent_encode(world) + "/assets/" + image.hash, image.bytes);
    if (!put) return Error{put.error().code, image.name + ": " + put.error().message};
    progress.at(++done);
  }
  return {};
}

Status put_cells(client::Client& client, const formats::TiledMap& map) {
  std::uint64_t total = 0, done = 0;
  for (const formats::LayerCells& layer : map.layers)
    for (const formats::CellBlock& block : layer.blocks) total += block.rect.area();
  Progress progress("cells", total);
  Painter painter(client);
  std::vector<map::Cell> part_cells;
  for (const formats::LayerCells& layer : map.layers) {
    for (const formats::CellBlock& block : layer.blocks) {
      Status sent;
      map::for_each_chunk_part(block.rect, [&](map::ChunkPos, const map::Rect& part) {
        if (!sent) return;
        part_cells.clear();
        for (std::int64_t y = part.y0; y < part.y1; ++y) {
          const auto row = block.cells.begin() + (y - block.rect.y0) * block.rect.width() + (part.x0 - block.rect.x0);
          part_cells.insert(part_cells.end(), row, row + part.width());
        }
        sent = painter.add(layer.layer, part, part_cells);
        progress.at(done += part.area());
      });
      if (!sent) return sent;
    }
  }
  return painter.finish();
}

}  // namespace

Status import_world(const CommandLine& line) {
  const fs::path path = line.file;
  const Result<std::string> bytes = read_file(path);
  if (!bytes) return bytes.error();
  const formats::FileReader reader = [folder = path.parent_path()](const std::string& relative) -> Result<std::string> {
    return read_file(fs::path(relative).is_absolute() ? fs::path(relative) : folder / relative);
  };
  Result<formats::TiledMap> map = formats::import_tiled(*bytes, path.filename().string(), reader);
  if (!map) return map.error();
  if (!line.world.empty()) map->world.name = line.world;
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> made = http.request("POST", "/v1/worlds", formats::world_to_json(map->world));
  if (!made) {
    const bool taken = made.error().code == ErrorCode::already_exists;
    return Error{made.error().code,
                 made.error().message + (taken ? "; give the new one another name with --world" : "")};
  }
  if (Status put = put_images(http, *map, map->world.name); !put) return put;
  Result<std::unique_ptr<client::Client>> client = enter(line, map->world.name);
  if (!client) return client.error();
  if (Status put = put_cells(**client, *map); !put) return put;
  std::uint64_t cells = 0;
  for (const formats::LayerCells& layer : map->layers)
    for (const formats::CellBlock& block : layer.blocks) cells += block.rect.area();
  fmt::print("imported \"{}\": {} layers, {} tilesets, {} images, {} cells\n", map->world.name,
             map->world.layers.size(), map->world.tilesets.size(), map->images.size(), cells);
  return {};
}

}  // namespace terrazzo::cli

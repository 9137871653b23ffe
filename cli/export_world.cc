#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/image_files.h"
#include "cli/server.h"
#include "map/formats/tiled.h"

namespace terrazzo::cli {
namespace {

namespace fs = std::filesystem;

// Beside the file, then renamed over it: never half a map.
Status write_file(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = path.string() + ".new";
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.flush();
    if (!file)
      return Error{ErrorCode::internal,
                   path.string() + " cannot be written: does the folder exist, and is there room?"};
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  return error ? Status(Error{ErrorCode::internal, path.string() + ": " + error.message()}) : Status();
}

// 64×64 chunks: what one subscription may ask for.
constexpr std::int64_t kPiece = 64 * map::kChunkSize;

// Reads cells through the client library, by subscriptions of the size the server allows.
class Reader {
 public:
  Reader(client::Client& client, HttpClient& http, const std::string& world)
      : client_(client), http_(http), world_(world) {}

  Status read(map::LayerId layer, const map::Rect& rect, std::span<map::Cell> cells) {
    // Wide bands are taken in pieces.
    for (std::int64_t x = rect.x0; x < rect.x1; x += kPiece) {
      const map::Rect piece{x, rect.y0, std::min(x + kPiece, rect.x1), rect.y1};
      const Result<client::SubscriptionId> sub = fetch(client_, piece, {&layer, 1});
      if (!sub) return sub.error();
      std::vector<map::Cell> part(piece.area());
      client_.read_rect(layer, piece, part, client::View::confirmed);
      client_.unsubscribe(*sub);
      for (std::int64_t y = piece.y0; y < piece.y1; ++y)
        std::copy_n(part.begin() + (y - piece.y0) * piece.width(), piece.width(),
                    cells.begin() + (y - rect.y0) * rect.width() + (x - rect.x0));
    }
    return {};
  }

  // The chunks of an infinite world that anybody ever wrote to.
  Result<std::vector<map::Rect>> used(map::LayerId layer) {
    const Result<std::string> body = http_.request("GET", "/v1/worlds/" + percent_encode(world_) + "/shards");
    if (!body) return body.error();
    const nlohmann::json answer = nlohmann::json::parse(*body, nullptr, false);
    std::vector<map::Rect> chunks;
    const Error strange{ErrorCode::bad_message,
                        "the list of shards that the server answers is wrong; it must be {\"shards\": [[x, y, …], …]}"};
    if (!answer.is_object() || !answer.contains("shards") || !answer["shards"].is_array()) return strange;
    for (const nlohmann::json& shard : answer["shards"]) {
      if (!shard.is_array() || shard.size() < 2 || !shard[0].is_number_integer() || !shard[1].is_number_integer())
        return strange;
      const auto column = shard[0].get<std::int64_t>(), row = shard[1].get<std::int64_t>();
      if (column < INT32_MIN || column > INT32_MAX || row < INT32_MIN || row > INT32_MAX) return strange;
      const map::Rect cells =
          map::cells_of(map::ShardPos{static_cast<std::int32_t>(column), static_cast<std::int32_t>(row)});
      if (!map::kPlane.contains(cells)) return strange;
      for (std::int64_t y = cells.y0; y < cells.y1; y += kPiece)
        for (std::int64_t x = cells.x0; x < cells.x1; x += kPiece)
          if (Status found = used_in(layer, map::Rect::of_size(x, y, kPiece, kPiece), chunks); !found)
            return found.error();
    }
    return chunks;
  }

 private:
  Status used_in(map::LayerId layer, const map::Rect& area, std::vector<map::Rect>& out) {
    const Result<client::SubscriptionId> sub = fetch(client_, area, {&layer, 1});
    if (!sub) return sub.error();
    const map::Rect chunks = map::chunks_of(area);
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x) {
        const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
        if (client_.revision(layer, chunk).value_or(Lsn{}).value != 0) out.push_back(map::cells_of(chunk));
      }
    client_.unsubscribe(*sub);
    return {};
  }

  client::Client& client_;
  HttpClient& http_;
  const std::string& world_;
};

Status write_images(HttpClient& http, const std::string& name, const map::World& world, const fs::path& folder,
                    Existing existing) {
  const std::vector<formats::ExportedImage> images = formats::export_images(world);
  // All names first: a world with a bad one leaves nothing behind.
  for (const formats::ExportedImage& image : images)
    if (Status good = check_image_path(image.path); !good) return good;
  Progress progress("images", images.size());
  std::uint64_t done = 0;
  for (const formats::ExportedImage& image : images) {
    const Result<std::string> bytes = get_asset(http, name, image.asset.hash);
    if (!bytes) return Error{bytes.error().code, image.path + ": " + bytes.error().message};
    if (Status written = write_image(folder, image.path, *bytes, existing); !written) return written;
    progress.at(++done);
  }
  return {};
}

}  // namespace

Status export_world(const CommandLine& line) {
  const fs::path path = line.file;
  const bool json = path.extension() == ".tmj" || path.extension() == ".json";
  if (!json && path.extension() != ".tmx")
    return Error{ErrorCode::bad_message, "the file's name ends with .tmx or .tmj, which says what is written"};
  Result<std::unique_ptr<client::Client>> client = enter(line, line.world);
  if (!client) return client.error();
  const map::World world = *(*client)->world();
  HttpClient http(line.server, line.token, line.ca_file);
  Reader reader(**client, http, line.world);
  const std::uint64_t rows =
      (world.bounds ? static_cast<std::uint64_t>(world.bounds->height()) : 0) * tile_layers(world).size();
  Progress progress("cells", rows);
  std::uint64_t rows_done = 0;
  formats::CellSource source;
  source.read = [&](map::LayerId layer, const map::Rect& rect, std::span<map::Cell> cells) {
    const Status done = reader.read(layer, rect, cells);
    progress.at(rows_done += static_cast<std::uint64_t>(rect.height()));
    return done;
  };
  source.used = [&](map::LayerId layer) { return reader.used(layer); };
  formats::ExportOptions options;
  constexpr std::string_view kEncodings[] = {"csv", "base64", "zlib", "gzip", "zstd"};
  for (std::size_t i = 0; i < std::size(kEncodings); ++i)
    if (line.encoding == kEncodings[i]) options.encoding = static_cast<formats::CellEncoding>(i);
  const Result<std::string> text = (json ? formats::export_tmj : formats::export_tmx)(world, source, options);
  if (!text) return text.error();
  if (Status written =
          write_images(http, line.world, world, path.parent_path(), line.force ? Existing::replace : Existing::keep);
      !written)
    return written;
  if (Status written = write_file(path, *text); !written) return written;
  fmt::print("exported \"{}\" to {} ({} bytes) with {} images beside it\n", world.name, path.string(), text->size(),
             formats::export_images(world).size());
  return {};
}

}  // namespace terrazzo::cli

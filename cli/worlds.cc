#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {

Status list_worlds(const CommandLine& line) {
  HttpClient http(line.server, line.token);
  const Result<std::string> body = http.request("GET", "/v1/worlds");
  if (!body) return body.error();
  const nlohmann::json answer = nlohmann::json::parse(*body, nullptr, false);
  if (!answer.is_object() || !answer.contains("worlds") || !answer["worlds"].is_array())
    return Error{ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
  if (answer["worlds"].empty()) {
    fmt::print("there are no worlds yet: terrazzo import FILE.tmx --world NAME --server {}\n", line.server);
    return {};
  }
  fmt::print("{:<24} {:>7} {:>9} {:>10}  {:<22} {}\n", "NAME", "LAYERS", "TILESETS", "TILE", "SIZE IN CELLS", "ID");
  for (const nlohmann::json& world : answer["worlds"]) {
    std::string size = "infinite";
    if (const auto b = world.find("bounds"); b != world.end() && b->is_array() && b->size() == 4)
      size = fmt::format("{} × {}", (*b)[2].dump(), (*b)[3].dump());
    fmt::print("{:<24} {:>7} {:>9} {:>10}  {:<22} {}\n", world.value("name", ""), world.value("layers", 0),
               world.value("tilesets", 0),
               fmt::format("{}×{}", world.value("tile_width", 0), world.value("tile_height", 0)), size,
               world.value("id", ""));
  }
  return {};
}

}  // namespace terrazzo::cli

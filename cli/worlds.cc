#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {

Status list_worlds(const CommandLine& line) {
  HttpClient http(line.server, line.token, line.ca_file);
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
  const auto text = [](const nlohmann::json& world, const char* member) {
    const auto found = world.find(member);
    return found == world.end() ? std::string() : found->is_string() ? found->get<std::string>() : found->dump();
  };
  for (const nlohmann::json& world : answer["worlds"]) {
    if (!world.is_object()) return Error{ErrorCode::bad_message, line.server + " lists a world that is not an object"};
    std::string size = "infinite";
    if (const auto b = world.find("bounds"); b != world.end() && b->is_array() && b->size() == 4)
      size = fmt::format("{} × {}", (*b)[2].dump(), (*b)[3].dump());
    fmt::print("{:<24} {:>7} {:>9} {:>10}  {:<22} {}\n", text(world, "name"), text(world, "layers"),
               text(world, "tilesets"), fmt::format("{}×{}", text(world, "tile_width"), text(world, "tile_height")),
               size, text(world, "id"));
  }
  return {};
}

}  // namespace terrazzo::cli

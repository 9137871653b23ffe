#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {
namespace {

// NUMBER=NAME, as an entry of a list of the patch.
Result<nlohmann::json> renamed(const std::string& words, const char* flag, const char* key) {
  const std::size_t equals = words.find('=');
  const std::string number = words.substr(0, equals);
  if (equals == std::string::npos || number.empty() || number.size() > 9 ||
      number.find_first_not_of("0123456789") != std::string::npos)
    return Error{ErrorCode::bad_message, fmt::format("{} \"{}\": NUMBER=NAME, for example 1=Floor", flag, words)};
  return nlohmann::json{{key, std::stoul(number)}, {"name", words.substr(equals + 1)}};
}

Result<nlohmann::json> patch_of(const CommandLine& line) {
  nlohmann::json patch = nlohmann::json::object();
  if (!line.file.empty()) {
    std::ifstream file(line.file, std::ios::binary);
    patch = nlohmann::json::parse(std::string{std::istreambuf_iterator<char>(file), {}}, nullptr, false);
    if (!patch.is_object()) return Error{ErrorCode::bad_message, line.file + " is no JSON object"};
  }
  if (!line.new_name.empty()) patch["name"] = line.new_name;
  for (const auto& [list, key, flag, all] :
       {std::tuple("layers", "id", "--layer-name", &line.layer_names),
        std::tuple("tilesets", "first_tile", "--tileset-name", &line.tileset_names)}) {
    for (const std::string& words : *all) {
      Result<nlohmann::json> entry = renamed(words, flag, key);
      if (!entry) return entry.error();
      patch[list].push_back(*std::move(entry));
    }
  }
  if (patch.empty())
    return Error{ErrorCode::bad_message, "nothing to change: --name, --layer-name, --tileset-name or --patch say what"};
  return patch;
}

}  // namespace

Status edit_world(const CommandLine& line) {
  const Result<nlohmann::json> patch = patch_of(line);
  if (!patch) return patch.error();
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> body = http.request("PATCH", "/v1/worlds/" + percent_encode(line.world), patch->dump());
  if (!body) return body.error();
  const nlohmann::json world = nlohmann::json::parse(*body, nullptr, false);
  fmt::print("changed; the world is called {}\n", world.is_object() ? world.value("name", "") : "");
  return {};
}

}  // namespace terrazzo::cli

#include "cli/json_answers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/http_client.h"

namespace terrazzo::cli {

Result<nlohmann::json> ask(const CommandLine& line, std::string_view method, const std::string& target,
                           const std::string& body) {
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> answer = http.request(method, target, body);
  if (!answer) return answer.error();
  nlohmann::json parsed = nlohmann::json::parse(*answer, nullptr, false);
  if (!parsed.is_object())
    return Error{ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
  return parsed;
}

std::string text_of(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found == object.end() ? "" : found->is_string() ? found->get<std::string>() : found->dump();
}

std::uint64_t count_of(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

Result<std::string> layer_number(const CommandLine& line) {
  if (line.layer.empty()) return std::string();
  const Result<nlohmann::json> world = ask(line, "GET", "/v1/worlds/" + percent_encode(line.world));
  if (!world) return world.error();
  const auto layers = world->find("layers");
  if (layers != world->end() && layers->is_array())
    for (const nlohmann::json& layer : *layers)
      if (layer.is_object() && (text_of(layer, "name") == line.layer || text_of(layer, "id") == line.layer))
        return text_of(layer, "id");
  return Error{ErrorCode::not_found, "there is no layer \"" + line.layer + "\" in " + line.world};
}

std::tm created_at(const nlohmann::json& object) {
  const auto created = object.is_object() ? object.find("created_ms") : object.end();
  // Years of more than four digits are no time of saving, and too large ones no calendar can print.
  constexpr std::int64_t kTimeMax = 253'402'300'799;
  const std::time_t at = object.is_object() && created != object.end() && created->is_number_integer()
                             ? std::clamp<std::int64_t>(created->get<std::int64_t>() / 1000, 0, kTimeMax)
                             : 0;
  return fmt::localtime(at);
}

Status print_diff(const CommandLine& line, const nlohmann::json& diff, std::string_view one, std::string_view other) {
  if (!diff.contains("shards") || !diff["shards"].is_array())
    return Error{ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
  fmt::print("{} chunks of 32×32 cells differ between \"{}\" and \"{}\"\n", text_of(diff, "chunks"), one, other);
  for (const nlohmann::json& shard : diff["shards"]) {
    const auto areas = shard.is_object() ? shard.find("areas") : shard.end();
    if (areas == shard.end() || !areas->is_array()) continue;
    for (const nlohmann::json& area : *areas) {
      const auto chunks = area.is_object() ? area.find("chunks") : area.end();
      if (chunks == area.end() || !chunks->is_array() || chunks->size() != 4) continue;
      std::int64_t rect[4];
      for (std::size_t i = 0; i < 4; ++i)
        rect[i] = (*chunks)[i].is_number_integer() ? (*chunks)[i].get<std::int64_t>() : 0;
      fmt::print("  layer {}: cells {},{},{},{}\n", text_of(area, "layer"), rect[0] * 32, rect[1] * 32, rect[2] * 32,
                 rect[3] * 32);
    }
  }
  return {};
}

}  // namespace terrazzo::cli

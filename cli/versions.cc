#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {
namespace {

std::string address(const CommandLine& line) {
  return "/v1/worlds/" + percent_encode(line.world) + "/versions";
}

Result<nlohmann::json> ask(const CommandLine& line, std::string_view method, const std::string& target,
                           const std::string& body = {}) {
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

}  // namespace

Status list_versions(const CommandLine& line) {
  const Result<nlohmann::json> answer = ask(line, "GET", address(line));
  if (!answer) return answer.error();
  const auto versions = answer->find("versions");
  if (versions == answer->end() || !versions->is_array() || versions->empty()) {
    fmt::print("{} has no versions yet: terrazzo save {} NAME\n", line.world, line.world);
    return {};
  }
  fmt::print("{:>6}  {:<32} {:<20} {}\n", "NUMBER", "NAME", "SAVED", "BY");
  for (const nlohmann::json& version : *versions) {
    const auto created = version.is_object() ? version.find("created_ms") : version.end();
    // Years of more than four digits are no time of saving, and too large ones no calendar can print.
    constexpr std::int64_t kTimeMax = 253'402'300'799;
    const std::time_t at = created != version.end() && created->is_number_integer()
                               ? std::clamp<std::int64_t>(created->get<std::int64_t>() / 1000, 0, kTimeMax)
                               : 0;
    fmt::print("{:>6}  {:<32} {:%Y-%m-%d %H:%M:%S} {}\n", text_of(version, "id"), text_of(version, "name"),
               fmt::localtime(at), text_of(version, "author"));
  }
  return {};
}

Status save_version(const CommandLine& line) {
  const Result<nlohmann::json> made = ask(line, "POST", address(line), nlohmann::json{{"name", line.version}}.dump());
  if (!made) return made.error();
  fmt::print("version {} \"{}\" of {} is saved\n", text_of(*made, "id"), line.version, line.world);
  return {};
}

Status restore_version(const CommandLine& line) {
  const Result<nlohmann::json> done =
      ask(line, "POST", address(line) + "/" + percent_encode(line.version) + "/restore");
  if (!done) return done.error();
  fmt::print("{} is as it was in version {} \"{}\" again\n", line.world, text_of(*done, "id"), text_of(*done, "name"));
  return {};
}

Status delete_version(const CommandLine& line) {
  const Result<nlohmann::json> done = ask(line, "DELETE", address(line) + "/" + percent_encode(line.version));
  if (!done) return done.error();
  fmt::print("version {} \"{}\" is deleted\n", text_of(*done, "id"), text_of(*done, "name"));
  return {};
}

Status diff_versions(const CommandLine& line) {
  const Result<nlohmann::json> diff = ask(
      line, "GET", address(line) + "/" + percent_encode(line.version) + "/diff/" + percent_encode(line.other_version));
  if (!diff) return diff.error();
  if (!diff->contains("shards") || !(*diff)["shards"].is_array())
    return Error{ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
  fmt::print("{} chunks of 32×32 cells differ between \"{}\" and \"{}\"\n", text_of(*diff, "chunks"), line.version,
             line.other_version);
  for (const nlohmann::json& shard : (*diff)["shards"]) {
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

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/json_answers.h"
#include "cli/picture.h"

namespace terrazzo::cli {
namespace {

std::string address(const CommandLine& line) {
  return "/v1/worlds/" + percent_encode(line.world) + "/versions";
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
    fmt::print("{:>6}  {:<32} {:%Y-%m-%d %H:%M:%S} {}\n", text_of(version, "id"), text_of(version, "name"),
               created_at(version), text_of(version, "author"));
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
  const auto state = [&](const std::string& version) {
    return WorldState{line.world, version == "now" ? "" : "version=" + percent_encode(version)};
  };
  if (!line.file.empty()) return draw_diff(line, state(line.version), state(line.other_version));
  const Result<nlohmann::json> diff = ask(
      line, "GET", address(line) + "/" + percent_encode(line.version) + "/diff/" + percent_encode(line.other_version));
  if (!diff) return diff.error();
  return print_diff(line, *diff, line.version, line.other_version);
}

}  // namespace terrazzo::cli

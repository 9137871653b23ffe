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
  return "/v1/worlds/" + percent_encode(line.world) + "/branches";
}

}  // namespace

Status list_branches(const CommandLine& line) {
  const Result<nlohmann::json> answer = ask(line, "GET", address(line));
  if (!answer) return answer.error();
  const auto branches = answer->find("branches");
  if (branches == answer->end() || !branches->is_array() || branches->empty()) {
    fmt::print("{} has no branches yet: terrazzo branch {} NAME\n", line.world, line.world);
    return {};
  }
  fmt::print("{:<24} {:<24} {:<24} {:<20} {}\n", "NAME", "BEGAN IN", "AT", "MADE", "BY");
  for (const nlohmann::json& branch : *branches) {
    const bool of_version = branch.is_object() && branch.contains("version") && branch["version"].is_string();
    fmt::print("{:<24} {:<24} {:<24} {:%Y-%m-%d %H:%M:%S}  {}\n", text_of(branch, "name"), text_of(branch, "from"),
               of_version ? text_of(branch, "version") : "its state of then", created_at(branch),
               text_of(branch, "author"));
  }
  return {};
}

// --world may name a branch.
std::string main_line(const CommandLine& line) {
  return line.world.substr(0, line.world.find('@'));
}

Status make_branch(const CommandLine& line) {
  nlohmann::json wanted{{"name", line.branch}};
  if (!line.version.empty()) wanted["version"] = line.version;
  const Result<nlohmann::json> made = ask(line, "POST", address(line), wanted.dump());
  if (!made) return made.error();
  fmt::print("the branch is there; open it as {}@{}\n", main_line(line), line.branch);
  return {};
}

Status drop_branch(const CommandLine& line) {
  const Result<nlohmann::json> done = ask(line, "DELETE", address(line) + "/" + percent_encode(line.branch));
  if (!done) return done.error();
  fmt::print("branch \"{}\" of {} is dropped\n", text_of(*done, "name"), line.world);
  return {};
}

Status diff_branch(const CommandLine& line) {
  if (!line.file.empty()) {
    if (line.with == "origin")
      return Error{ErrorCode::unsupported, "--png shows what differs from the world as it is now: leave --with out"};
    return draw_diff(line, {main_line(line), ""}, {main_line(line) + "@" + line.branch, ""});
  }
  const Result<nlohmann::json> diff =
      ask(line, "GET", address(line) + "/" + percent_encode(line.branch) + "/diff/" + line.with);
  if (!diff) return diff.error();
  return print_diff(line, *diff, line.branch, line.with == "main" ? main_line(line) : "where it began");
}

}  // namespace terrazzo::cli

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/json_answers.h"
#include "cli/time_text.h"

namespace terrazzo::cli {
namespace {

Result<nlohmann::json> wish(const CommandLine& line) {
  if (line.by.empty() && !line.rect && line.since.empty())
    return Error{ErrorCode::bad_message, "say which edits: --user, --since or --rect, or more than one of them"};
  nlohmann::json wanted{{"name", line.name}};
  if (!line.by.empty()) wanted["user"] = line.by;
  if (line.rect) wanted["area"] = {line.rect->x0, line.rect->y0, line.rect->width(), line.rect->height()};
  // One clock for both, so that an empty time between them is seen as one.
  const std::uint64_t now = now_ms();
  const auto moment = [&](const std::string& text, const char* member) -> Status {
    if (text.empty()) return {};
    const Result<std::uint64_t> ms = parse_time(text, now);
    if (!ms) return ms.error();
    wanted[member] = *ms;
    return {};
  };
  if (const Status since = moment(line.since, "since_ms"); !since) return since.error();
  if (const Status until = moment(line.until, "until_ms"); !until) return until.error();
  const Result<std::string> layer = layer_number(line);
  if (!layer) return layer.error();
  if (!layer->empty()) wanted["layer"] = nlohmann::json::parse(*layer, nullptr, false);
  return wanted;
}

void print_preview(const nlohmann::json& preview) {
  fmt::print("{} edits:\n", count_of(preview, "edits"));
  if (const auto authors = preview.find("authors"); authors != preview.end() && authors->is_array())
    for (const nlohmann::json& author : *authors) {
      if (!author.is_object()) continue;
      const auto user = author.find("user");
      const bool known = user != author.end() && user->is_string();
      fmt::print("  {:<24} {:>8} edits  {:>10} cells\n",
                 known ? user->get<std::string>() : "user " + text_of(author, "user_id"), count_of(author, "edits"),
                 count_of(author, "cells"));
    }
  fmt::print("{} cells become what they were before", count_of(preview, "cells"));
  const auto also = [&](const char* member, const char* what) {
    if (const std::uint64_t count = count_of(preview, member); count != 0) fmt::print("; {} {}", count, what);
  };
  also("skipped", "stay: somebody else painted them since");
  also("same", "are what they were already");
  also("lost", "stay: nobody knows any more what they were");
  fmt::print("\n");
}

bool says_yes() {
  fmt::print("revert? [y/N] ");
  std::fflush(stdout);
  std::string answer;
  return std::getline(std::cin, answer) && (answer == "y" || answer == "yes");
}

}  // namespace

Status revert(const CommandLine& line) {
  Result<nlohmann::json> wanted = wish(line);
  if (!wanted) return wanted.error();
  const std::string address = "/v1/worlds/" + percent_encode(line.world) + "/revert";
  (*wanted)["preview"] = true;
  const Result<nlohmann::json> preview = ask(line, "POST", address, wanted->dump());
  if (!preview) return preview.error();
  print_preview(*preview);
  if (line.preview || count_of(*preview, "cells") == 0) return {};
  if (!line.yes && !says_yes()) {
    fmt::print("nothing was changed\n");
    return {};
  }
  (*wanted)["preview"] = false;
  const Result<nlohmann::json> reverted = ask(line, "POST", address, wanted->dump());
  if (!reverted) return reverted.error();
  fmt::print("{} cells are what they were before; terrazzo undo {} takes that back\n", count_of(*reverted, "cells"),
             line.world);
  if (const std::uint64_t left = count_of(*reverted, "left"); left != 0)
    fmt::print("{} cells were painted on meanwhile and left as they are\n", left);
  return {};
}

}  // namespace terrazzo::cli

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "cli/http_client.h"
#include "cli/json_answers.h"

namespace terrazzo::cli {
namespace {

std::string change_text(const nlohmann::json& change) {
  std::string rect;
  if (const auto at = change.find("rect"); at != change.end() && at->is_array())
    for (const nlohmann::json& each : *at) rect += (rect.empty() ? "" : ",") + each.dump();
  const std::string cell = text_of(change, "cell");
  return fmt::format("{} layer {} {}{}", text_of(change, "what"), text_of(change, "layer"), rect,
                     cell.empty() ? "" : " = " + cell);
}

std::string edit_text(const nlohmann::json& edit) {
  constexpr std::size_t kShown = 2;
  std::string text;
  for (const char* taken : {"undo_of", "redo_of"})
    if (const auto of = edit.find(taken); of != edit.end() && of->is_object())
      text += fmt::format("{} of {}:{}  ", std::string_view(taken).substr(0, 4), text_of(*of, "author"),
                          text_of(*of, "edit"));
  const auto changes = edit.find("changes");
  if (changes == edit.end() || !changes->is_array()) return text;
  for (std::size_t i = 0; i < changes->size() && i < kShown; ++i)
    if ((*changes)[i].is_object()) text += (i == 0 ? "" : "; ") + change_text((*changes)[i]);
  const auto all = edit.find("all_changes");
  if (all != edit.end() && all->is_number_unsigned() && all->get<std::uint64_t>() > kShown)
    text += fmt::format("; and {} more", all->get<std::uint64_t>() - kShown);
  return text;
}

void print_edit(const nlohmann::json& edit) {
  if (!edit.is_object()) return;
  const auto stamp = edit.find("time_ms");
  nlohmann::json made{{"created_ms", stamp == edit.end() ? nlohmann::json(0) : *stamp}};
  const auto user = edit.find("user");
  const bool known = user != edit.end() && user->is_string();
  fmt::print("{:%Y-%m-%d %H:%M:%S}  {:<20} {:<24} {}\n", created_at(made),
             known ? user->get<std::string>() : "user " + text_of(edit, "user_id"),
             text_of(edit, "author") + ":" + text_of(edit, "edit"), edit_text(edit));
}

Status print_edits(const CommandLine& line, std::string query) {
  const Result<std::string> layer = layer_number(line);
  if (!layer) return layer.error();
  if (!layer->empty()) query += "&layer=" + *layer;
  if (!line.by.empty()) query += "&user=" + percent_encode(line.by);
  const Result<nlohmann::json> page =
      ask(line, "GET", "/v1/worlds/" + percent_encode(line.world) + "/history?" + query);
  if (!page) return page.error();
  const auto edits = page->find("edits");
  if (edits == page->end() || !edits->is_array() || edits->empty()) {
    fmt::print("nothing that is still kept\n");
    return {};
  }
  for (const nlohmann::json& edit : *edits) print_edit(edit);
  if (const std::string next = text_of(*page, "next"); next != "null" && line.command == "history")
    fmt::print("there are older ones: --before {}\n", next);
  return {};
}

}  // namespace

Status show_history(const CommandLine& line) {
  std::string query = fmt::format("limit={}", line.limit);
  if (line.rect)
    query += fmt::format("&area={},{},{},{}", line.rect->x0, line.rect->y0, line.rect->width(), line.rect->height());
  if (line.hours != 0) {
    const auto since = std::chrono::system_clock::now() - std::chrono::duration<double, std::ratio<3600>>(line.hours);
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since.time_since_epoch()).count();
    query += fmt::format("&since_ms={}", ms);
  }
  if (!line.before.empty()) query += "&before=" + percent_encode(line.before);
  return print_edits(line, query);
}

Status forget_user(const CommandLine& line) {
  const Result<nlohmann::json> done = ask(line, "DELETE", "/v1/users/" + percent_encode(line.by));
  if (!done) return done.error();
  fmt::print("history knows {}'s edits by number only now\n", line.by);
  return {};
}

Status blame(const CommandLine& line) {
  return print_edits(line, fmt::format("limit=1&area={},{},1,1", line.cell[0], line.cell[1]));
}

}  // namespace terrazzo::cli

// The endpoint that takes back what a filter finds.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"
#include "server/http/fields.h"

namespace terrazzo::http {
namespace {

bool read_member(const std::string& member, const nlohmann::json& value, RevertAsk& ask) {
  if (member == "area") return (ask.area = rect_of(value)).has_value();
  if (member == "since_ms") return time_of(value, ask.since_us);
  if (member == "until_ms") return time_of(value, ask.until_us);
  if (member == "layer") {
    if (!value.is_number_unsigned() || value > 255) return false;
    ask.layer = value.get<map::LayerId>();
    return true;
  }
  if (member == "preview") {
    if (!value.is_boolean()) return false;
    ask.preview = value.get<bool>();
    return true;
  }
  if (!value.is_string() || (member != "user" && member != "name")) return false;
  if (member == "user") ask.user = value.get<std::string>();
  if (member == "name") ask.name = value.get<std::string>();
  return true;
}

// Nothing: there is something in it that cannot be, or nothing that says which edits are meant.
std::optional<RevertAsk> revert_of(std::string_view text) {
  const nlohmann::json body = nlohmann::json::parse(text, nullptr, false);
  if (!body.is_object()) return std::nullopt;
  RevertAsk ask;
  for (const auto& [member, value] : body.items())
    if (!read_member(member, value, ask)) return std::nullopt;
  if (!ask.area && !ask.user && !ask.since_us) return std::nullopt;
  return ask;
}

nlohmann::json json_of(const RevertInfo& info) {
  nlohmann::json authors = nlohmann::json::array(), areas = nlohmann::json::array();
  for (const RevertInfo::Author& author : info.authors)
    authors.push_back({{"user", author.name.empty() ? nlohmann::json() : nlohmann::json(author.name)},
                       {"user_id", std::to_string(author.user.value)},
                       {"edits", author.edits},
                       {"cells", author.cells}});
  for (const RevertInfo::Area& area : info.areas)
    areas.push_back({{"layer", area.layer},
                     {"rect", http::json_of(area.rect)},
                     {"cells", area.cells},
                     {"skipped", area.skipped}});
  return {{"reverted", info.done}, {"cells", info.cells},         {"same", info.same}, {"skipped", info.skipped},
          {"lost", info.lost},     {"left", info.left},           {"edits", info.edits}, {"authors", authors},
          {"areas", areas},        {"all_areas", info.all_areas}};
}

}  // namespace

void Api::revert(const net::HttpRequest& request, std::string_view name, Respond respond) {
  if (request.method != "POST") return respond(wrong_method("POST"));
  const auto admitted = admit(request, name, Right::write, respond);
  if (!admitted) return;
  std::optional<RevertAsk> ask = revert_of(request.body);
  if (!ask) {
    return respond(problem(
        {ErrorCode::bad_message,
         "which edits are reverted is said by one or more of \"user\": name, \"since_ms\" (since 1970) and \"area\": "
         "[x, y, width, height] (cells), with \"until_ms\" and \"layer\": number if wanted; \"preview\": true to "
         "change nothing; \"name\": who reverts, where tokens do not say it"}));
  }
  ask->by_owner = admitted->role == identity::Role::owner;
  services_.revert(admitted->world->id, *std::move(ask), request.authorization,
                   [respond = std::move(respond)](const Result<RevertInfo>& reverted) {
                     respond(reverted ? json_response(200, json_of(*reverted).dump()) : problem(reverted.error()));
                   });
}

}  // namespace terrazzo::http

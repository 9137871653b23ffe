// The endpoint of what was done in a world.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"
#include "server/http/fields.h"

namespace terrazzo::http {
namespace {

bool read_place(std::string_view text, std::optional<EditPlace>& out) {
  const auto numbers = read_numbers<std::uint64_t>(text, '.', 3);
  if (!numbers) return false;
  out = EditPlace{(*numbers)[0], SessionId{(*numbers)[1]}, EditId{(*numbers)[2]}};
  return true;
}

bool read_field(std::string_view field, const std::string& value, HistoryAsk& ask) {
  if (field == "area") return read_rect(value, ask.area);
  if (field == "layer") {
    unsigned layer = 0;
    if (!read_number(std::string_view(value), layer) || layer > 255) return false;
    ask.layer = static_cast<map::LayerId>(layer);
    return true;
  }
  if (field == "user") {
    ask.user = value;
    return true;
  }
  if (field == "since_ms") return read_time(value, ask.since_us);
  if (field == "until_ms") return read_time(value, ask.until_us);
  if (field == "before") return read_place(value, ask.before);
  return field == "limit" && read_number(std::string_view(value), ask.limit) && ask.limit >= 1 &&
         ask.limit <= HistoryAsk::kLimitMax;
}

std::string text_of(const EditPlace& place) {
  return std::to_string(place.time_us) + "." + std::to_string(place.author.value) + "." +
         std::to_string(place.edit.value);
}

nlohmann::json json_of(const HistoryEntry& entry) {
  nlohmann::json changes = nlohmann::json::array();
  for (const HistoryEntry::Change& change : entry.changes) {
    nlohmann::json one{{"shard", {change.shard.x, change.shard.y}},
                       {"lsn", change.lsn.value},
                       {"what", change.what},
                       {"layer", change.layer},
                       {"rect", {change.rect.x0, change.rect.y0, change.rect.width(), change.rect.height()}}};
    if (change.cell) one["cell"] = change.cell->bits;
    changes.push_back(std::move(one));
  }
  nlohmann::json json{{"author", std::to_string(entry.place.author.value)},
                      {"edit", entry.place.edit.value},
                      {"user", entry.name.empty() ? nlohmann::json() : nlohmann::json(entry.name)},
                      {"user_id", std::to_string(entry.user.value)},
                      {"time_ms", entry.place.time_us / 1000},
                      {"changes", std::move(changes)},
                      {"all_changes", entry.all_changes}};
  if (entry.undo) {
    json[entry.undo->redo ? "redo_of" : "undo_of"] = {{"author", std::to_string(entry.undo->author.value)},
                                                      {"edit", entry.undo->edit.value}};
  }
  return json;
}

}  // namespace

void Api::history(const net::HttpRequest& request, std::string_view name, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  const auto admitted = admit(request, name, Right::read, respond);
  if (!admitted) return;
  HistoryAsk ask;
  const auto read = [&](std::string_view field, const std::string& value) { return read_field(field, value, ask); };
  if (!read_query(request.target, read)) {
    return respond(
        problem({ErrorCode::bad_message,
                 "edits are asked for by area=X,Y,WIDTH,HEIGHT (cells), layer=NUMBER, user=NAME, since_ms= and "
                 "until_ms= (since 1970), limit=1 to 1000, and before= what \"next\" was in the answer before"}));
  }
  services_.history(admitted->world->id, std::move(ask), [respond = std::move(respond)](Result<HistoryPage> page) {
    if (!page) return respond(problem(page.error()));
    nlohmann::json edits = nlohmann::json::array();
    for (const HistoryEntry& entry : page->entries) edits.push_back(json_of(entry));
    const nlohmann::json body{{"edits", std::move(edits)},
                              {"complete_since_ms", (page->complete_since_us + 999) / 1000},
                              {"next", page->next ? nlohmann::json(text_of(*page->next)) : nlohmann::json()}};
    respond(json_response(200, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  });
}

void Api::user(const net::HttpRequest& request, std::string_view name, Respond respond) {
  if (!admit_to_server(request, Right::own, respond)) return;
  if (request.method != "DELETE") return respond(wrong_method("DELETE"));
  const Result<std::string> decoded = percent_decode(name);
  if (!decoded) return respond(problem(decoded.error()));
  services_.forget_user(*decoded, [respond = std::move(respond)](const Status& forgotten) {
    respond(forgotten ? json_response(200, "{}") : problem(forgotten.error()));
  });
}

}  // namespace terrazzo::http

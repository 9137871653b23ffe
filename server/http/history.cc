// The endpoint of what was done in a world.
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {
namespace {

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// `count` numbers with commas or points between.
template <class Number>
std::optional<std::vector<Number>> read_numbers(std::string_view text, char between, std::size_t count) {
  std::vector<Number> numbers;
  while (true) {
    const std::size_t end = text.find(between);
    Number number{};
    if (!read_number(text.substr(0, end), number)) return std::nullopt;
    numbers.push_back(number);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return numbers.size() == count ? std::optional(numbers) : std::nullopt;
}

bool read_time(std::string_view text, std::optional<std::uint64_t>& out) {
  std::uint64_t ms = 0;
  if (!read_number(text, ms) || ms > std::uint64_t{1} << 52) return false;
  out = ms * 1000;
  return true;
}

bool read_area(std::string_view text, std::optional<map::Rect>& out) {
  const auto numbers = read_numbers<std::int64_t>(text, ',', 4);
  constexpr std::int64_t kMost = std::int64_t{1} << 32;
  if (!numbers) return false;
  for (const std::int64_t number : *numbers)
    if (number < -kMost || number > kMost) return false;
  if ((*numbers)[2] < 1 || (*numbers)[3] < 1) return false;
  out = map::Rect::of_size((*numbers)[0], (*numbers)[1], (*numbers)[2], (*numbers)[3]);
  return true;
}

bool read_place(std::string_view text, std::optional<EditPlace>& out) {
  const auto numbers = read_numbers<std::uint64_t>(text, '.', 3);
  if (!numbers) return false;
  out = EditPlace{(*numbers)[0], SessionId{(*numbers)[1]}, EditId{(*numbers)[2]}};
  return true;
}

bool read_member(std::string_view member, const std::string& value, HistoryAsk& ask) {
  if (member == "area") return read_area(value, ask.area);
  if (member == "layer") {
    unsigned layer = 0;
    if (!read_number(std::string_view(value), layer) || layer > 255) return false;
    ask.layer = static_cast<map::LayerId>(layer);
    return true;
  }
  if (member == "user") {
    ask.user = value;
    return true;
  }
  if (member == "since_ms") return read_time(value, ask.since_us);
  if (member == "until_ms") return read_time(value, ask.until_us);
  if (member == "before") return read_place(value, ask.before);
  return member == "limit" && read_number(std::string_view(value), ask.limit) && ask.limit >= 1 &&
         ask.limit <= HistoryAsk::kLimitMax;
}

std::optional<HistoryAsk> ask_of(std::string_view query) {
  HistoryAsk ask;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t equals = one.find('=');
    const Result<std::string> value = percent_decode(equals == std::string_view::npos ? "" : one.substr(equals + 1));
    if (!value || !read_member(one.substr(0, equals), *value, ask)) return std::nullopt;
  }
  return ask;
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
  if (const Status allowed = services_.authorize(request.authorization, ApiServices::Right::read); !allowed)
    return respond(problem(allowed.error()));
  if (request.method != "GET") return respond(wrong_method("GET"));
  const auto world = services_.find_world(name);
  if (!world) return respond(problem({ErrorCode::not_found, "there is no world \"" + std::string(name) + "\""}));
  const std::size_t query = request.target.find('?');
  std::optional<HistoryAsk> ask = ask_of(query == std::string_view::npos ? "" : request.target.substr(query + 1));
  if (!ask) {
    return respond(
        problem({ErrorCode::bad_message,
                 "edits are asked for by area=X,Y,WIDTH,HEIGHT (cells), layer=NUMBER, user=NAME, since_ms= and "
                 "until_ms= (since 1970), limit=1 to 1000, and before= what \"next\" was in the answer before"}));
  }
  services_.history(world->id, *std::move(ask), [respond = std::move(respond)](Result<HistoryPage> page) {
    if (!page) return respond(problem(page.error()));
    nlohmann::json edits = nlohmann::json::array();
    for (const HistoryEntry& entry : page->entries) edits.push_back(json_of(entry));
    const nlohmann::json body{{"edits", std::move(edits)},
                              {"next", page->next ? nlohmann::json(text_of(*page->next)) : nlohmann::json()}};
    respond(json_response(200, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  });
}

}  // namespace terrazzo::http

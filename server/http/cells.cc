// The endpoint of cells as they are, were at a time, or are in a version.
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"
#include "server/http/fields.h"

namespace terrazzo::http {
namespace {

struct Read {
  CellsAsk ask;
  std::optional<map::Rect> area;
  std::optional<unsigned> layer;
};

bool read_field(std::string_view field, const std::string& value, Read& read) {
  if (field == "area") return read_rect(value, read.area);
  if (field == "at_ms") return read_time(value, read.ask.at_us);
  if (field == "layer") {
    unsigned layer = 0;
    if (!read_number(std::string_view(value), layer) || layer > 255) return false;
    read.layer = layer;
    return true;
  }
  if (field != "version" || value.empty()) return false;
  read.ask.version = value;
  return true;
}

std::optional<CellsAsk> ask_of(std::string_view target) {
  Read read;
  const bool sound = read_query(
      target, [&](std::string_view field, const std::string& value) { return read_field(field, value, read); });
  if (!sound || !read.area || !read.layer || (read.ask.at_us && !read.ask.version.empty())) return std::nullopt;
  if (!map::kPlane.contains(*read.area)) return std::nullopt;
  read.ask.area = *read.area;
  read.ask.layer = static_cast<map::LayerId>(*read.layer);
  return read.ask;
}

// Maps are mostly runs: length, cell, length, cell, …
std::string runs_of(const std::vector<map::Cell>& cells) {
  std::string runs;
  for (std::size_t from = 0; from < cells.size();) {
    std::size_t to = from + 1;
    while (to < cells.size() && cells[to] == cells[from]) ++to;
    if (from != 0) runs += ',';
    runs += std::to_string(to - from);
    runs += ',';
    runs += std::to_string(cells[from].bits);
    from = to;
  }
  return runs;
}

std::string json_of(const CellsAsk& ask, const std::vector<map::Cell>& cells) {
  return R"({"area":)" + http::json_of(ask.area).dump() + R"(,"layer":)" + std::to_string(ask.layer) + R"(,"runs":[)" +
         runs_of(cells) + "]}";
}

}  // namespace

void Api::cells(const net::HttpRequest& request, std::string_view name, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  const auto admitted = admit(request, name, Right::read, respond);
  if (!admitted) return;
  std::optional<CellsAsk> ask = ask_of(request.target);
  if (!ask) {
    return respond(
        problem({ErrorCode::bad_message,
                 "cells are asked for by layer=NUMBER and area=X,Y,WIDTH,HEIGHT, with at_ms= (since 1970) as they were at "
                 "that time, or with version= name or number as they are in it"}));
  }
  if (ask->area.area() > CellsAsk::kCellsMax) {
    return respond(problem({ErrorCode::too_large, "at most " + std::to_string(CellsAsk::kCellsMax) +
                                                      " cells at once: ask for the area in parts"}));
  }
  const CellsAsk asked = *ask;
  services_.cells(admitted->world->id, *std::move(ask),
                  [respond = std::move(respond), asked](const Result<std::vector<map::Cell>>& cells) {
                    respond(cells ? json_response(200, json_of(asked, *cells)) : problem(cells.error()));
                  });
}

}  // namespace terrazzo::http

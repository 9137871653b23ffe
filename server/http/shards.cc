// What an operator does with shards and cores.
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "server/http/answers.h"
#include "server/http/api.h"

namespace terrazzo::http {
namespace {

// "x,y"
std::optional<map::ShardPos> parse_shard(std::string_view text) {
  map::ShardPos shard;
  const char* const end = text.data() + text.size();
  const auto [comma, x_error] = std::from_chars(text.data(), end, shard.x);
  if (x_error != std::errc() || comma == end || *comma != ',') return std::nullopt;
  const auto [rest, y_error] = std::from_chars(comma + 1, end, shard.y);
  if (y_error != std::errc() || rest != end) return std::nullopt;
  return shard;
}

}  // namespace

void Api::shard(const net::HttpRequest& request, std::string_view name, std::string_view tail, Respond respond) {
  const std::size_t slash = tail.find('/');
  const std::optional<map::ShardPos> shard = parse_shard(tail.substr(0, slash));
  if (!shard || slash == std::string_view::npos || tail.substr(slash + 1) != "move") {
    return respond(problem({ErrorCode::not_found, "a shard has …/shards/X,Y/move, for example …/shards/0,-1/move"}));
  }
  if (request.method != "POST") return respond(wrong_method("POST"));
  const auto admitted = admit(request, name, Right::own, respond);
  if (!admitted) return;
  const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
  const auto core = body.is_object() ? body.find("core") : body.end();
  if (!body.is_object() || core == body.end() || !core->is_number_unsigned() || core->get<std::uint64_t>() > 0xFFFF)
    return respond(problem({ErrorCode::bad_message, "a shard is moved with {\"core\": N}, N from 0"}));
  services_.move_shard(admitted->world->id, *shard, core->get<unsigned>(),
                       [respond = std::move(respond), at = *shard](Result<MovedShard> moved) {
                         if (!moved) return respond(problem(moved.error()));
                         respond(json_response(200, nlohmann::json{{"shard", {at.x, at.y}},
                                                                   {"from", moved->from},
                                                                   {"core", moved->to},
                                                                   {"parked_us", moved->parked_ns / 1000}}
                                                        .dump()));
                       });
}

void Api::cores(const net::HttpRequest& request, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  if (!admit_to_server(request, Right::own, respond)) return;
  services_.cores([respond = std::move(respond)](const std::vector<CoreInfo>& cores) {
    nlohmann::json list = nlohmann::json::array();
    for (const CoreInfo& core : cores) {
      nlohmann::json shards = nlohmann::json::array();
      for (const CoreInfo::Shard& shard : core.shards) {
        shards.push_back({{"world", std::to_string(shard.world.value)},
                          {"shard", {shard.shard.x, shard.shard.y}},
                          {"work_per_s", shard.work_per_s}});
      }
      list.push_back({{"core", core.core}, {"busy", core.busy}, {"shards", std::move(shards)}});
    }
    respond(json_response(200, nlohmann::json{{"cores", std::move(list)}}.dump()));
  });
}

}  // namespace terrazzo::http

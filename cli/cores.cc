#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/http_client.h"

namespace terrazzo::cli {
namespace {

// Beyond these a core's shards are only counted.
constexpr std::size_t kHottest = 5;

double number(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_number() ? found->get<double>() : 0;
}

Error not_terrazzo(const CommandLine& line) {
  return {ErrorCode::bad_message, line.server + " answers, but not as a Terrazzo server does"};
}

void print_shard(const nlohmann::json& shard) {
  const auto world = shard.is_object() ? shard.find("world") : shard.end();
  const auto at = shard.is_object() ? shard.find("shard") : shard.end();
  if (!shard.is_object() || world == shard.end() || !world->is_string() || at == shard.end() || !at->is_array() ||
      at->size() != 2 || !(*at)[0].is_number_integer() || !(*at)[1].is_number_integer())
    return;
  fmt::print("{:24}world {}, shard {},{}: {:.0f} a second\n", "", world->get<std::string>(), (*at)[0].get<int>(),
             (*at)[1].get<int>(), number(shard, "work_per_s"));
}

}  // namespace

Status list_cores(const CommandLine& line) {
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> answer = http.request("GET", "/v1/cores");
  if (!answer) return answer.error();
  const nlohmann::json parsed = nlohmann::json::parse(*answer, nullptr, false);
  const auto cores = parsed.is_object() ? parsed.find("cores") : parsed.end();
  if (!parsed.is_object() || cores == parsed.end() || !cores->is_array()) return not_terrazzo(line);
  fmt::print("{:>5} {:>6} {:>8}  {}\n", "CORE", "BUSY", "SHARDS", "EDITS, ENCODINGS AND CHUNKS OF THE HOTTEST");
  for (const nlohmann::json& core : *cores) {
    const auto shards = core.is_object() ? core.find("shards") : core.end();
    if (!core.is_object() || shards == core.end() || !shards->is_array()) return not_terrazzo(line);
    fmt::print("{:>5.0f} {:>5.0f}% {:>8}\n", number(core, "core"), number(core, "busy") * 100, shards->size());
    for (std::size_t i = 0; i < shards->size() && i < kHottest; ++i) print_shard((*shards)[i]);
  }
  return {};
}

Status move_shard(const CommandLine& line) {
  HttpClient http(line.server, line.token, line.ca_file);
  const Result<std::string> answer =
      http.request("POST", "/v1/worlds/" + percent_encode(line.world) + "/shards/" + line.shard + "/move",
                   nlohmann::json{{"core", line.core}}.dump());
  if (!answer) return answer.error();
  const nlohmann::json moved = nlohmann::json::parse(*answer, nullptr, false);
  if (!moved.is_object()) return not_terrazzo(line);
  if (number(moved, "from") == number(moved, "core")) {
    fmt::print("shard {} of {} is on core {} already\n", line.shard, line.world, line.core);
  } else {
    fmt::print("shard {} of {} went from core {:.0f} to core {:.0f}; it was parked for {:.1f} ms\n", line.shard,
               line.world, number(moved, "from"), number(moved, "core"), number(moved, "parked_us") / 1000);
  }
  return {};
}

}  // namespace terrazzo::cli

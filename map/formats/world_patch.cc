#include "map/formats/world_patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "map/formats/world_json.h"

namespace terrazzo::formats {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kOfWorld = {"name", "extra"};
constexpr std::array<std::string_view, 10> kOfLayer = {"name",     "opacity",  "visible",    "locked",     "tint",
                                                       "offset_x", "offset_y", "parallax_x", "parallax_y", "extra"};
constexpr std::array<std::string_view, 4> kOfTileset = {"name", "draw_offset_x", "draw_offset_y", "extra"};

std::string list_of(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

Status replace_members(json& target, const json& patch, std::span<const std::string_view> may, std::string_view key,
                       const std::string& what) {
  for (const auto& [member, value] : patch.items()) {
    if (member == key) continue;
    if (std::ranges::find(may, std::string_view(member)) == may.end()) {
      return Error{ErrorCode::bad_message,
                   fmt::format("{}: \"{}\" cannot be changed; what can is {}", what, member, list_of(may))};
    }
    target[member] = value;
  }
  return {};
}

// The entries of a list, each named by `key`.
Status patch_list(json& targets, const json& patches, const char* list, const char* key,
                  std::span<const std::string_view> may) {
  if (!patches.is_array())
    return Error{ErrorCode::bad_message, fmt::format("{}: a list of objects that have \"{}\"", list, key)};
  for (const json& patch : patches) {
    if (!patch.is_object() || !patch.contains(key) || !patch[key].is_number_unsigned())
      return Error{ErrorCode::bad_message, fmt::format("{}: each is an object with the number \"{}\"", list, key)};
    const auto target =
        std::find_if(targets.begin(), targets.end(), [&](const json& one) { return one[key] == patch[key]; });
    const std::string what = fmt::format("{} with {} {}", list, key, patch[key].dump());
    if (target == targets.end()) return Error{ErrorCode::not_found, "there are no " + what};
    if (Status done = replace_members(*target, patch, may, key, what); !done) return done;
  }
  return {};
}

}  // namespace

Result<map::World> patch_world(const map::World& world, std::string_view patch) {
  json wanted = json::parse(patch, nullptr, false);
  if (!wanted.is_object())
    return Error{ErrorCode::bad_message, "a world is changed by a JSON object, {\"name\": \"…\"} say"};
  json target = json::parse(world_to_json(world));
  for (const auto& [list, key, may] :
       {std::tuple("layers", "id", std::span<const std::string_view>(kOfLayer)),
        std::tuple("tilesets", "first_tile", std::span<const std::string_view>(kOfTileset))}) {
    if (!wanted.contains(list)) continue;
    if (Status done = patch_list(target[list], wanted[list], list, key, may); !done) return done.error();
    wanted.erase(list);
  }
  if (Status done = replace_members(target, wanted, kOfWorld, {}, "the world, besides layers and tilesets"); !done)
    return done.error();
  Result<map::World> patched = world_from_json(target.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!patched) return patched.error();
  patched->id = world.id;
  return patched;
}

}  // namespace terrazzo::formats

#pragma once

#include <map>
#include <memory>
#include <string>

#include "server/session/session_output.h"

namespace terrazzo::session {

inline constexpr WorldId kIsland{17};
inline constexpr std::uint32_t kTiles = 99;  // 1 … 99

// "island": tile layers 1 and 2, the object layer 3 between them and everything else; without bounds.
inline std::shared_ptr<map::World> island() {
  auto world = std::make_shared<map::World>();
  world->id = kIsland;
  world->name = "island";
  world->layers.resize(3);
  world->layers[0].id = 1;
  world->layers[1].id = 3;
  world->layers[1].kind = map::LayerKind::object;
  world->layers[2].id = 2;
  world->tilesets.resize(1);
  world->tilesets[0].tile_count = kTiles;
  return world;
}

// The tokens "ada", "bob" (editors) and "eve" (a viewer), or any that a test has put in; sessions count from 1001,
// their secrets are "secret-<number>".
class OneWorldDirectory final : public SessionDirectory {
 public:
  Result<Identity> authenticate(std::string_view token) override {
    if (const auto found = tokens.find(token); found != tokens.end()) return found->second;
    const auto everywhere = [](Role role) { return identity::WorldRoles::everywhere(role); };
    if (token == "ada" || token == "bob") return Identity{std::string(token), everywhere(Role::editor), {}, budget};
    if (token == "eve") return Identity{"eve", everywhere(Role::viewer)};
    return Error{ErrorCode::unauthenticated, "the token was not accepted"};
  }
  std::shared_ptr<const map::World> find_world(std::string_view name_or_id) override {
    return name_or_id == world->name || name_or_id == "17" ? world : nullptr;
  }
  std::string world_json(const map::World& of) override {
    if (!json.empty()) return json;
    return R"({"name":")" + of.name + R"("})";
  }
  SessionId new_session() override { return SessionId{++last_session}; }
  std::string resume_token(SessionId session) override { return "secret-" + std::to_string(session.value); }
  Result<SessionId> session_of(std::string_view token) override {
    for (std::uint64_t id = 1001; id <= last_session; ++id)
      if (token == resume_token(SessionId{id})) return SessionId{id};
    return Error{ErrorCode::unauthenticated, "the resume token is not one of this server's"};
  }
  Incarnation incarnation() const override { return Incarnation{4}; }
  UserId user_id(const Identity& identity, std::string_view) override {
    return UserId{identity.user == "ada" ? 1u : identity.user == "bob" ? 2u : 3u};
  }
  std::uint64_t time_us() override { return ++now_us; }

  std::shared_ptr<map::World> world = island();
  std::map<std::string, Identity, std::less<>> tokens;
  std::string json;                    // what the metadata is said to be; empty: only the name
  std::shared_ptr<UserBudget> budget;  // of ada and bob
  std::uint64_t last_session = 1000, now_us = 0;
};

}  // namespace terrazzo::session

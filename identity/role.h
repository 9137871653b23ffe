#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace terrazzo::identity {

// What somebody may do in a world: each may all that the ones before it may.
enum class Role : std::uint8_t { viewer, editor, owner };
inline constexpr std::array<std::string_view, 3> kRoleNames = {"viewer", "editor", "owner"};

constexpr std::string_view role_name(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}
constexpr std::optional<Role> role_named(std::string_view name) {
  for (std::size_t i = 0; i < kRoleNames.size(); ++i)
    if (kRoleNames[i] == name) return static_cast<Role>(i);
  return std::nullopt;
}

// The roles of one user, world by world; nothing: he may not even look.
class WorldRoles {
 public:
  static constexpr std::string_view kEverywhere = "*";
  static WorldRoles everywhere(Role role) {
    WorldRoles roles;
    roles.set(std::string(kEverywhere), role);
    return roles;
  }

  // `world`: name, id in decimal, or kEverywhere: where nothing else is said. No role: shut out.
  void set(std::string world, std::optional<Role> role) { roles_[std::move(world)] = role; }
  // A branch ("world@branch") is as its world.
  std::optional<Role> in(std::string_view name, std::string_view id) const {
    for (const std::string_view key : {name.substr(0, name.find('@')), id, kEverywhere})
      if (const auto found = roles_.find(key); found != roles_.end()) return found->second;
    return std::nullopt;
  }
  std::optional<Role> everywhere() const {
    const auto found = roles_.find(kEverywhere);
    return found == roles_.end() ? std::nullopt : found->second;
  }
  // Of all that are named.
  std::optional<Role> highest() const {
    std::optional<Role> most;
    for (const auto& [world, role] : roles_) most = std::max(most, role);
    return most;
  }
  bool empty() const { return roles_.empty(); }
  const std::map<std::string, std::optional<Role>, std::less<>>& all() const { return roles_; }

 private:
  std::map<std::string, std::optional<Role>, std::less<>> roles_;
};

}  // namespace terrazzo::identity

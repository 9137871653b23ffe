#include "server/app/world_directory.h"

#include <algorithm>
#include <charconv>

#include "base/branch_world.h"

namespace terrazzo::app {

map::World branch_metadata(const map::World& main, const catalog::NamedBranch& branch) {
  map::World world = main;
  world.id = branch.world;
  world.name = main.name + "@" + branch.name;
  return world;
}

Status WorldDirectory::add(WorldPtr world) {
  // The name is what people collide on, so it is claimed first.
  if (!by_name_.insert(world->name, world)) {
    return Error{ErrorCode::already_exists,
                 "there is a world \"" + world->name + "\" already: choose another name, or delete that one first"};
  }
  if (!by_id_.insert(world->id.value, world)) {
    by_name_.erase(world->name);
    return Error{ErrorCode::already_exists, "the id of the world is taken"};
  }
  return {};
}

bool WorldDirectory::remove(WorldId id) {
  const WorldPtr world = find(id);
  if (!world) return false;
  by_name_.erase(world->name);
  return by_id_.erase(id.value);
}

Status WorldDirectory::claim_name(const std::string& name, const WorldPtr& world) {
  if (by_name_.insert(name, world)) return {};
  return Error{ErrorCode::already_exists, "there is a world \"" + name + "\" already: choose another name"};
}

void WorldDirectory::forget_name(const std::string& name) {
  by_name_.erase(name);
}

void WorldDirectory::replace(WorldPtr newer) {
  const WorldPtr older = find(newer->id);
  by_name_.insert_or_assign(newer->name, newer);
  by_id_.insert_or_assign(newer->id.value, newer);
  if (older && older->name != newer->name) by_name_.erase(older->name);
}

WorldDirectory::WorldPtr WorldDirectory::find(WorldId id) const {
  WorldPtr world;
  by_id_.find_fn(id.value, [&](const WorldPtr& found) { world = found; });
  return world;
}

WorldDirectory::WorldPtr WorldDirectory::find(std::string_view name_or_id) const {
  WorldPtr world;
  if (by_name_.find_fn(std::string(name_or_id), [&](const WorldPtr& found) { world = found; })) return world;
  std::uint64_t id = 0;
  const char* end = name_or_id.data() + name_or_id.size();
  const auto parsed = std::from_chars(name_or_id.data(), end, id);
  if (parsed.ec == std::errc() && parsed.ptr == end) return find(WorldId{id});
  return nullptr;
}

std::vector<WorldDirectory::WorldPtr> WorldDirectory::list() const {
  std::vector<WorldPtr> worlds;
  {
    // lock_table is not const in libcuckoo; listing changes nothing.
    auto table = const_cast<WorldDirectory*>(this)->by_id_.lock_table();
    for (const auto& [id, world] : table)
      if (line_of(world->id) == 0) worlds.push_back(world);
  }
  std::sort(worlds.begin(), worlds.end(), [](const WorldPtr& a, const WorldPtr& b) { return a->name < b->name; });
  return worlds;
}

}  // namespace terrazzo::app

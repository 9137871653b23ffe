#pragma once

#include <libcuckoo/cuckoohash_map.hh>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/world.h"
#include "server/catalog/branch_registry.h"

namespace terrazzo::app {

// A branch has its world's, but its own name and id.
map::World branch_metadata(const map::World& main, const catalog::NamedBranch& branch);

// Which worlds there are: read by every core, written when a world comes or changes. Values are immutable and shared; a
// new value replaces the old one. Any thread.
class WorldDirectory {
 public:
  using WorldPtr = std::shared_ptr<const map::World>;

  // already_exists: the name or the id is taken.
  Status add(WorldPtr world);
  bool remove(WorldId id);
  // Another world's name as well, from now on: found under it, too, until replace(). already_exists.
  Status claim_name(const std::string& name, const WorldPtr& world);
  void forget_name(const std::string& name);
  // A newer value of a world that is there; a name that it has no more is free.
  void replace(WorldPtr newer);
  WorldPtr find(WorldId id) const;
  // By name, else by id in decimal; null: none.
  WorldPtr find(std::string_view name_or_id) const;
  std::vector<WorldPtr> list() const;  // by name, without branches

 private:
  libcuckoo::cuckoohash_map<std::string, WorldPtr> by_name_;
  libcuckoo::cuckoohash_map<std::uint64_t, WorldPtr> by_id_;
};

}  // namespace terrazzo::app

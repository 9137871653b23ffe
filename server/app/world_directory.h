#pragma once

#include <libcuckoo/cuckoohash_map.hh>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/world.h"

namespace terrazzo::app {

// Which worlds there are: read by every core, written when a world comes or changes. Values are immutable and shared; a
// new value replaces the old one. Any thread.
class WorldDirectory {
 public:
  using WorldPtr = std::shared_ptr<const map::World>;

  // already_exists: the name or the id is taken.
  Status add(WorldPtr world);
  bool remove(WorldId id);
  WorldPtr find(WorldId id) const;
  // By name, else by id in decimal; null: none.
  WorldPtr find(std::string_view name_or_id) const;
  std::vector<WorldPtr> list() const;  // by name, without branches

 private:
  libcuckoo::cuckoohash_map<std::string, WorldPtr> by_name_;
  libcuckoo::cuckoohash_map<std::uint64_t, WorldPtr> by_id_;
};

}  // namespace terrazzo::app

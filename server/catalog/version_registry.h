#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"

namespace terrazzo::catalog {

// A state of a whole world that somebody gave a name. Numbers count up from 1 in each world and are not used again.
struct NamedVersion {
  std::uint64_t id = 0;
  std::string name;
  std::string author;
  std::int64_t created_ms = 0;  // since 1970
  // Deleted, but log records may still speak of it until the next recovery.
  bool deleted = false;
  // Nobody's to see: the server took it for itself, e.g. to copy what it holds, and it counts as deleted after a
  // restart.
  bool temporary = false;
};

// The versions of every world; worlds/<id>/versions.json is what to_json() says. Any thread.
class VersionRegistry {
 public:
  // At start, before anybody asks. Temporary ones are deleted by that, but for those that are still `needed`. internal:
  // the text is damaged.
  Status load(WorldId world, std::string_view json, const std::function<bool(std::uint64_t version)>& needed = {});
  std::string to_json(WorldId world) const;
  // As it was before `version` was made, but for those that were deleted since.
  std::string to_json_before(WorldId world, std::uint64_t version) const;

  // A new version, not visible before commit(). already_exists: the name is taken (any number of temporary ones may
  // have one name); bad_message: it is empty or too long.
  Result<NamedVersion> decide(WorldId world, const std::string& name, const std::string& author, std::int64_t now_ms,
                              bool temporary = false);
  void commit(WorldId world, std::uint64_t id);
  void withdraw(WorldId world, std::uint64_t id);  // a decided one that could not be written
  // From now on it is written as deleted and not listed, but nothing of it may be given back before removed(): should
  // the list not get to disk, it is there again after a restart. not_found.
  Status remove(WorldId world, std::uint64_t id);
  void removed(WorldId world, std::uint64_t id);
  void bring_back(WorldId world, std::uint64_t id);  // instead of removed()

  std::vector<NamedVersion> list(WorldId world) const;  // by age, without the temporary ones
  // What people ask for, by name or number; not_found: no such one, deleted, or temporary.
  Result<NamedVersion> find(WorldId world, std::string_view id_or_name) const;
  Result<NamedVersion> get(WorldId world, std::uint64_t id) const;  // temporary ones, too
  // For a shard that is opened: all numbers, and which of them are deleted.
  void numbers(WorldId world, std::vector<std::uint64_t>& all, std::vector<std::uint64_t>& deleted) const;
  // The highest number ever given; 0: none. A pin with a higher one shows that the list is older than the shard's file.
  std::uint64_t last(WorldId world) const;
  // The newest that was committed; 0: none.
  std::uint64_t newest(WorldId world) const;
  void forget(WorldId branch);  // all of them: it was dropped
  // After recovery no log record speaks of them.
  void forget_deleted();

 private:
  struct Entry {
    NamedVersion version;
    bool committed = false;
    bool going = false;  // between remove() and removed()
  };
  struct World {
    std::uint64_t last = 0;
    std::vector<Entry> entries;
  };
  mutable std::mutex mutex_;
  std::unordered_map<WorldId, World> worlds_;
};

}  // namespace terrazzo::catalog

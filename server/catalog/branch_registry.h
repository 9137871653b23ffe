#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/branch_world.h"
#include "base/error.h"
#include "server/storage/shard_store.h"

namespace terrazzo::catalog {

// A line of a world that began at a version of another one.
struct NamedBranch {
  storage::HeadId number = 0;  // in the world's shard files; from 1, never used again
  WorldId world;               // its id, see base/branch_world.h; used again when no log record speaks of it
  std::string name;
  std::string author;
  std::int64_t created_ms = 0;  // since 1970
  WorldId parent;               // the main line, or an older branch
  std::uint64_t origin = 0;     // the version of `parent` that it began at
  bool own_origin = false;      // the version was taken for it and goes with it
  std::uint64_t merged = 0;     // its own version of when it was last merged into its parent; 0: never
  // Dropped, but log records may still speak of it until the next recovery.
  bool deleted = false;
};

// The branches of every world; worlds/<id>/branches.json is what to_json() says. `world` may be any line of it, where
// not said otherwise. Any thread.
class BranchRegistry {
 public:
  // At start, before anybody asks. internal: the text is damaged.
  Status load(WorldId main, std::string_view json);
  std::string to_json(WorldId world) const;

  static Status check_name(const std::string& name);  // bad_message
  // Whether decide() could succeed now; its errors.
  Status check_free(WorldId world, const std::string& name) const;
  // A new branch of `parent`, not there before commit(). already_exists: the name is taken; bad_message: it is none;
  // overloaded: the world has as many as there may be.
  Result<NamedBranch> decide(WorldId parent, const std::string& name, const std::string& author, std::int64_t now_ms,
                             std::uint64_t origin, bool own_origin);
  void commit(const NamedBranch& branch);
  void withdraw(const NamedBranch& branch);  // a decided one that could not be written
  // From now on it is written as deleted and not listed, but nothing of it may be given back before removed(): should
  // the list not get to disk, it is there again after a restart. not_found; conflict: another branch began there.
  Status remove(const NamedBranch& branch);
  void removed(const NamedBranch& branch);
  void bring_back(const NamedBranch& branch);  // instead of removed()

  std::vector<NamedBranch> list(WorldId world) const;  // by age
  // not_found.
  Result<NamedBranch> find(WorldId world, std::string_view name) const;
  std::optional<NamedBranch> get(WorldId branch) const;
  // It was there, and log records may still speak of it.
  bool was_dropped(WorldId branch) const;
  // Of those whose heads stay in the shards' files.
  std::vector<storage::HeadId> numbers(WorldId world) const;
  // The highest number ever given; 0: none. A head with a higher one shows that the list is older than the shard's
  // file.
  storage::HeadId last(WorldId world) const;
  void set_merged(WorldId branch, std::uint64_t version);
  // The branch that began at this version of this line, if any.
  std::optional<NamedBranch> began_at(WorldId line, std::uint64_t version) const;
  // Whether a branch began at it or was last merged at it.
  bool is_needed(WorldId line, std::uint64_t version) const;
  // After recovery, of which log records still speak of `seen`.
  void forget_deleted(const std::unordered_set<WorldId>& seen);

 private:
  struct Entry {
    NamedBranch branch;
    bool committed = false;
    bool going = false;  // between remove() and removed()
    bool there() const { return committed && !branch.deleted; }
  };
  struct World {
    storage::HeadId last = 0;  // number
    unsigned last_line = 0;
    std::vector<Entry> entries;
  };
  const World* of(WorldId world) const;
  Entry* entry(const NamedBranch& branch);
  // For one more of this name.
  static Result<unsigned> free_line(const World& known, const std::string& name);

  mutable std::mutex mutex_;
  std::unordered_map<WorldId, World> worlds_;  // by main line
};

}  // namespace terrazzo::catalog

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "map/world.h"
#include "server/app/node.h"
#include "server/catalog/version_registry.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// What somebody wants of a world's versions or branches. `done` runs on the core that asked.
struct VersionAsk {
  enum class Kind : std::uint8_t { save, remove, restore, branch, drop_branch, merged, other };
  Kind kind = Kind::save;
  WorldId world;         // or a branch of one
  std::uint64_t id = 0;  // of remove, restore and merged; of branch: where it begins, 0: at the present state
  std::string name, author;
  bool temporary = false;  // of save
  shard::CoreId asked_by = 0;
  std::function<void(Result<catalog::NamedVersion>)> done;
  std::function<void()> begin;  // of other
};

// What a desk makes its core do.
class VersionDeskOutput {
 public:
  virtual ~VersionDeskOutput() = default;
  // Every core, this one included: stop taking edits of the world into shards, and say so with held(). Edits over
  // shards that are decided already go out before; if they cannot, hold_failed() is called.
  virtual void hold(WorldId world) = 0;
  // Every core: take the version in each of the world's shards (0: none), go on with edits, and say cut_done() when
  // everything before is on disk.
  virtual void cut(WorldId world, std::uint64_t version) = 0;
  virtual void drop(WorldId world, std::uint64_t version) = 0;
  // Why an edit over shards is in some of them and will not be in the others in this run of the server.
  virtual std::optional<Error> undone(WorldId world) = 0;
  // Shards of the world that decided edits have parts for, though perhaps no file yet.
  virtual std::vector<map::ShardPos> decided_shards(WorldId world) = 0;
  // Every core: the branch goes, with whoever has it open.
  virtual void drop_branch(const catalog::NamedBranch& branch) = 0;
  // An edit over shards, answered with outcome(). Takes its place in their order before this returns.
  virtual void submit(std::unique_ptr<shard::CoordinatedRequest> request) = 0;
  virtual SessionId name_session() = 0;
  virtual void answer(std::unique_ptr<VersionAsk> ask, Result<catalog::NamedVersion> result) = 0;
};

// Makes, deletes and goes back to versions of one world and its branches, and makes and drops those, one after another;
// lives on the world's coordinator core. A branch begins at a version, its own where it begins at the present state. A
// version is a consistent cut: no core takes an edit of the world between the moment when the last core has stopped and
// the moment when it takes the version, and a core applies what it was sent before it stops, so that no edit over
// shards is cut in two. What was applied before is on disk before the version is answered.
class VersionDesk {
 public:
  VersionDesk(Node& node, WorldId world, shard::CoreId self, VersionDeskOutput& out)
      : node_(node), world_(world), self_(self), out_(out) {}

  void ask(std::unique_ptr<VersionAsk> ask);
  // Calls `begin` when no version is being made, changed or gone back to; none is until release().
  void exclusively(std::function<void()> begin);
  void release();
  void held();
  void hold_failed(const Error& why);
  void cut_done(bool durable);
  // Whether the outcome is of an edit of this desk.
  bool outcome(const shard::EditOutcome& outcome);

 private:
  void next();
  void begin();
  void save();
  void refuse();
  void remove();
  void restore();
  void branch();
  void branch_from(std::uint64_t version);
  void drop_branch();
  void give_back(WorldId world, std::uint64_t version);
  void merged();
  void drop_origin(const catalog::NamedBranch& branch);
  void submit_restore(std::vector<map::ShardPos> shards);
  void finish(Result<catalog::NamedVersion> result);
  // Writes the versions of a line on a worker, then runs `then` here.
  void write(WorldId world, std::function<void(Status)> then);
  void write_branches(const catalog::NamedBranch& branch, std::function<void(Status)> then);

  Node& node_;
  const WorldId world_;
  const shard::CoreId self_;
  VersionDeskOutput& out_;
  std::deque<std::unique_ptr<VersionAsk>> waiting_;
  std::unique_ptr<VersionAsk> running_;
  bool choosing_ = false;  // in next()
  catalog::NamedVersion version_;
  int missing_ = 0;  // cores that have not answered
  bool durable_ = true;
  std::optional<Error> refused_;  // why the version that is being saved is not taken
  SessionId session_;             // that restores, while one runs
  std::size_t parts_left_ = 0;    // of its edit
};

}  // namespace terrazzo::app

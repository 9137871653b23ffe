// Worlds that come and change: their metadata is written on a worker, then published to all cores.
#include <mutex>
#include <utility>

#include "base/branch_world.h"
#include "map/formats/world_json.h"
#include "map/formats/world_patch.h"
#include "server/app/core_services.h"

namespace terrazzo::app {
namespace {

using WorldPtr = WorldDirectory::WorldPtr;

Status check_name(const std::string& name) {
  if (name.find('@') == std::string::npos) return {};
  return Error{ErrorCode::bad_message, "a world's name has no @: \"world@branch\" is what a branch is called"};
}

// The world and its branches, with this metadata.
std::vector<WorldPtr> lines_of(const Node& node, const map::World& main) {
  std::vector<WorldPtr> lines = {std::make_shared<const map::World>(main)};
  for (const catalog::NamedBranch& branch : node.branches.list(main.id))
    lines.push_back(std::make_shared<const map::World>(branch_metadata(main, branch)));
  return lines;
}

// On a worker. One world after another: the second of two changes begins with what the first one made.
Result<WorldPtr> change_world(Node& node, WorldId world, const std::string& patch,
                              const http::NameRule& may_be_called) {
  const std::lock_guard lock(node.metadata);
  const WorldPtr before = node.worlds.find(world);
  if (!before) return Error{ErrorCode::not_found, "the world is gone"};
  const Result<map::World> after = formats::patch_world(*before, patch);
  if (!after) return after.error();
  if (const Status fits = check_name(after->name); !fits) return fits.error();
  const std::vector<WorldPtr> lines = lines_of(node, *after);
  if (after->name != before->name) {
    if (const Status may = may_be_called(after->name); !may) return may.error();
    // The names are taken in memory first: of two that want the same at once, one loses here and writes nothing.
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (const Status claimed = node.worlds.claim_name(lines[i]->name, node.worlds.find(lines[i]->id)); !claimed) {
        for (std::size_t back = 0; back < i; ++back) node.worlds.forget_name(lines[back]->name);
        return claimed.error();
      }
    }
  }
  // After an error the new name stays taken until the next start: it may be what is on disk, and two worlds of one name
  // would keep a server from starting.
  if (const Status written = node.data->replace_world(world, formats::world_to_json(*after)); !written)
    return written.error();
  for (const WorldPtr& line : lines) node.worlds.replace(line);
  return lines.front();
}

}  // namespace

void CoreServices::create_world(map::World world, WorldDone done) {
  if (const Status fits = check_name(world.name); !fits) return done(fits.error());
  const bool asked = node_.workers->submit(self_, [this, world = std::move(world), done]() mutable -> WorkerPool::Done {
    Result<WorldId> id = node_.data->new_world_id();
    if (!id) return [done, error = id.error()] { done(error); };
    world.id = *id;
    const auto shared = std::make_shared<const map::World>(std::move(world));
    // The name is taken in memory first: of two that create the same world at once, one loses here and writes nothing.
    if (const Status added = node_.worlds.add(shared); !added) return [done, error = added.error()] { done(error); };
    if (const Status written = node_.data->write_world(shared->id, formats::world_to_json(*shared)); !written) {
      node_.worlds.remove(shared->id);
      return [done, error = written.error()] { done(error); };
    }
    return [done, shared] { done(shared); };
  });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::edit_world(WorldId world, std::string patch, http::NameRule may_be_called, WorldDone done) {
  const bool asked = node_.workers->submit(
      self_,
      [this, world, patch = std::move(patch), may_be_called = std::move(may_be_called), done]() -> WorkerPool::Done {
        return [this, done, changed = change_world(node_, world, patch, may_be_called)] {
          if (changed) tell_world_changed((*changed)->id);
          done(changed);
        };
      });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::tell_world_changed(WorldId world) {
  for (int core = 0; core < node_.cores; ++core) {
    runtime::MeshMessage message;
    message.kind = static_cast<std::uint32_t>(MeshKind::world_changed);
    message.words[0] = world.value;
    post(static_cast<shard::CoreId>(core), message);
  }
}

// Whatever the message was sent for, the newest counts: two changes may come in any order.
void CoreServices::take_changed_world(WorldId main) {
  const auto take = [&](WorldId line) {
    const WorldPtr newest = node_.worlds.find(line);
    if (!newest) return;
    shards_.for_each([&](ShardSlot& slot) {
      if (shard::Shard* const shard = slot.shard->find(line)) shard->set_world(newest);
    });
    home_.world_changed(newest);
  };
  take(main);
  for (const catalog::NamedBranch& branch : node_.branches.list(main)) take(branch.world);
}

}  // namespace terrazzo::app

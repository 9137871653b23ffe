#pragma once

#include <string>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/catalog/branch_registry.h"
#include "server/catalog/version_registry.h"
#include "server/io/data_directory.h"
#include "server/storage/shard_store.h"

// What a world's lists say of its lines, and whether its shard files agree.
namespace terrazzo::catalog {

// Where they are in a data folder.
std::string list_of_versions(WorldId line);
std::string list_of_branches(WorldId main);

// Reads the lists of a world and of its branches; what has no file has an empty list. internal: one is damaged; the
// message names the file.
Status load_lists(const io::DataDirectory& data, WorldId main, VersionRegistry& versions, BranchRegistry& branches);

// Numbers are never used again, so one that a shard holds and the lists never gave shows that they are older than the
// shard, or lost. To go on would drop what they do not name. internal.
Status agrees_with_lists(const storage::ShardStore& store, WorldId main, const VersionRegistry& versions,
                         const BranchRegistry& branches);

}  // namespace terrazzo::catalog

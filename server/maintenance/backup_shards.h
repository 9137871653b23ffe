#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/error.h"
#include "server/maintenance/backup_manifest.h"
#include "server/maintenance/shard_trees.h"

// Shards in backups: two packed files each, trees and pages of cells. Blocking; any thread.
namespace terrazzo::maintenance {

// A shard's trees as of the newest backup of a chain. internal: one of them is damaged.
Result<ShardTrees> read_trees(const BackupChain& chain, const std::string& path);

// Writes what `base` lacks (null: everything) into <to>.trees.zst and, if there is any, <to>.cells.zst.
Result<BackupManifest::Shard> write_shard(const std::string& to, std::span<const std::byte> file,
                                          const ShardImage& image, const ShardTrees* base);

// Makes a shard's file of a chain of backups, every byte proven. Folders are made.
Status restore_shard(const BackupChain& chain, const std::string& path, const std::string& to);

}  // namespace terrazzo::maintenance

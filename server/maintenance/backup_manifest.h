#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/maintenance/packed_file.h"

namespace terrazzo::maintenance {

// What a backup holds: its manifest.json (docs/storage.md). Paths are those of a data folder.
struct BackupManifest {
  static constexpr int kFormat = 2;

  // The backup that this one builds on: a folder beside it, whose manifest has this SHA-256.
  struct Base {
    std::string name, sha256;
  };
  // A file as it is. `in_base`: the base has the same bytes, and they are not here again.
  struct File {
    PackedFile packed;
    bool in_base = false;
  };
  // A shard: its trees, and the pages of cells that the base lacks. `in_base`: the base has an older state of it, which
  // both go on from.
  struct Shard {
    PackedFile trees, cells;
    bool in_base = false;
  };

  std::optional<Base> base;
  std::map<std::string, File> files;    // by path
  std::map<std::string, Shard> shards;  // by path

  std::string to_json() const;
  // `what` names it in messages. unsupported: of another format; internal: damaged.
  static Result<BackupManifest> from_json(const std::string& text, const std::string& what);
};

// A backup and those it builds on, the newest first; only the last has no base.
struct BackupLink {
  std::string folder;
  BackupManifest manifest;
  std::string sha256;  // of its manifest.json
  std::string packed(const std::string& path) const { return folder + "/" + path + ".zst"; }
  std::string packed_trees(const std::string& path) const { return folder + "/" + path + ".trees.zst"; }
  std::string packed_cells(const std::string& path) const { return folder + "/" + path + ".cells.zst"; }
};
using BackupChain = std::vector<BackupLink>;

// not_found: no backup, or one that it builds on is missing; conflict: one that it builds on is not the one it was made
// on; internal, unsupported.
Result<BackupChain> open_backup_chain(const std::string& folder);

inline constexpr const char* kManifestName = "manifest.json";

}  // namespace terrazzo::maintenance

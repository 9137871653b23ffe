#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/io/data_directory.h"
#include "server/io/read_only_mapping.h"
#include "server/maintenance/backup_manifest.h"
#include "server/maintenance/partial_folder.h"
#include "server/maintenance/shard_trees.h"

namespace terrazzo::maintenance {

// What of a backup is being worked on, and bytes done of all.
using BackupProgress = std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>;

// A backup while it is made: a folder of compressed files, and at the very end manifest.json with the size and SHA-256
// of each. It has its name when it is complete, and is gone with this object otherwise. One thread at a time; blocking.
class BackupWriter {
 public:
  // `since`: the folder of an earlier backup beside this one, which it builds on and without which it is nothing; only
  // what that one lacks is written. Empty: none. already_exists: there is something at `folder`; conflict: somebody is
  // making that one; bad_message: `since` lies elsewhere; else what open_backup_chain() says of it.
  static Result<BackupWriter> create(const std::string& folder, const std::string& since = {});

  // A file as it is. `path`: where it belongs in a data folder, e.g. worlds/7/world.json.
  Status add_file(const std::string& path, const std::string& from);
  Status add_text(const std::string& path, std::string_view text);
  // A shard of a running server.
  Status add_shard(const std::string& path, const std::string& from, const ShardImage& image);
  // One that no server has open, as of its newest checkpoint.
  Status add_closed_shard(const std::string& path, const std::string& from, const storage::ShardIdentity& identity);
  Status finish();

 private:
  BackupWriter(PartialFolder folder, BackupChain chain) : folder_(std::move(folder)), chain_(std::move(chain)) {}
  io::Reads reads(const std::string& path) const;
  Status add_trees(const std::string& path, std::span<const std::byte> file, const ShardImage& image);
  // Whether the base has the same.
  bool base_has(const std::string& path, const PackedFile& packed) const;

  PartialFolder folder_;
  BackupChain chain_;  // what it builds on; empty: nothing
  BackupManifest manifest_;
};

// All of a data folder whose server does not run, its log included; `folder` and `since` as in BackupWriter::create().
// conflict: a server is running.
Status backup_directory(io::DataDirectory& data, const std::string& folder, const std::string& since,
                        const BackupProgress& progress);

// Makes a data folder out of a backup and those it builds on, every byte proven on the way. `to` must not exist or be
// empty; after an error it is as it was. already_exists; internal: the backup is damaged; else what open_backup_chain()
// says.
Status restore_backup(const std::string& folder, const std::string& to, const BackupProgress& progress);

}  // namespace terrazzo::maintenance

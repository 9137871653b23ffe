#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/io/data_directory.h"
#include "server/maintenance/partial_folder.h"
#include "server/maintenance/shard_image.h"

namespace terrazzo::maintenance {

// What of a backup is being worked on, and bytes done of all.
using BackupProgress = std::function<void(const std::string& what, std::uint64_t done, std::uint64_t total)>;

// A backup while it is made: a folder of compressed files, and at the very end manifest.json with the size and SHA-256
// of each. It has its name when it is complete, and is gone with this object otherwise. One thread at a time; blocking.
class BackupWriter {
 public:
  // already_exists: there is something at `folder`; conflict: somebody is making that one.
  static Result<BackupWriter> create(const std::string& folder);

  // A file as it is. `path`: where it belongs in a data folder, e.g. worlds/7/world.json.
  Status add_file(const std::string& path, const std::string& from);
  Status add_text(const std::string& path, std::string_view text);
  // A shard of a running server.
  Status add_shard(const std::string& path, const std::string& from, const ShardImage& image);
  // Files and unpacked bytes so far.
  std::uint64_t bytes() const { return bytes_; }
  Status finish();

 private:
  explicit BackupWriter(PartialFolder folder) : folder_(std::move(folder)) {}
  struct Entry {
    std::string path, sha256;
    std::uint64_t bytes = 0;
  };
  PartialFolder folder_;
  std::vector<Entry> entries_;
  std::uint64_t bytes_ = 0;
};

// All of a data folder whose server does not run, its log included. conflict: one is running.
Status backup_directory(io::DataDirectory& data, const std::string& folder, const BackupProgress& progress);

// Makes a data folder out of a backup, every byte proven on the way. `to` must not exist or be empty; after an error it
// is as it was. not_found: no backup; already_exists; internal: the backup is damaged.
Status restore_backup(const std::string& folder, const std::string& to, const BackupProgress& progress);

}  // namespace terrazzo::maintenance

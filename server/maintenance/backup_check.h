#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/maintenance/backup.h"

namespace terrazzo::maintenance {

struct BackupCheck {
  std::uint64_t backups = 0;  // this one and those it builds on
  std::uint64_t files = 0, shards = 0;
  std::uint64_t bytes = 0;  // as restored
  // Each names the file and what is wrong.
  std::vector<std::string> findings;
};

// Proves, without writing anything, that a backup and those it builds on hold what their manifests say: every packed
// file is unpacked and hashed, every shard's trees are decoded. Blocking. An error: it is no backup, or one that it
// builds on is missing or not the one it was made on.
Result<BackupCheck> check_backup(const std::string& folder, const BackupProgress& progress = {});

}  // namespace terrazzo::maintenance

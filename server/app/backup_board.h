#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/http/api.h"

namespace terrazzo::app {

// What there is to tell of backups; one runs at a time. Any thread.
class BackupBoard {
 public:
  bool begin(const std::string& name, const std::string& since = {});  // false: one is running
  void progress(std::uint64_t done, std::uint64_t total);
  // The world whose trees are being copied; nothing: none is. They must stay, those of all its branches included.
  void copies(std::optional<WorldId> world);
  bool is_copied(WorldId world) const;
  void end(const Status& outcome);
  http::BackupInfo info() const;

 private:
  mutable std::mutex mutex_;
  http::BackupInfo info_;
  std::optional<WorldId> copied_;
};

}  // namespace terrazzo::app

#include "server/app/backup_board.h"

#include <spdlog/spdlog.h>

namespace terrazzo::app {

bool BackupBoard::begin(const std::string& name, const std::string& since) {
  const std::lock_guard lock(mutex_);
  if (info_.running) return false;
  info_ = {name, since, true, 0, 0, ""};
  return true;
}

void BackupBoard::progress(std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  info_.done = done;
  info_.total = total;
}

void BackupBoard::copies(std::optional<WorldId> world) {
  const std::lock_guard lock(mutex_);
  copied_ = world;
}

bool BackupBoard::is_copied(WorldId world) const {
  const std::lock_guard lock(mutex_);
  return copied_ == world;
}

void BackupBoard::end(const Status& outcome) {
  const std::lock_guard lock(mutex_);
  info_.running = false;
  info_.problem = outcome ? "" : outcome.error().message;
  if (outcome) {
    spdlog::info("backup \"{}\" is complete", info_.name);
  } else {
    spdlog::error("backup \"{}\": {}", info_.name, info_.problem);
  }
}

http::BackupInfo BackupBoard::info() const {
  const std::lock_guard lock(mutex_);
  return info_;
}

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "base/error.h"
#include "server/http/api.h"

namespace terrazzo::app {

// What there is to tell of backups; one runs at a time. Any thread.
class BackupBoard {
 public:
  bool begin(const std::string& name, const std::string& since = {});  // false: one is running
  void progress(std::uint64_t done, std::uint64_t total);
  void leaves_out(std::uint64_t branches);
  void end(const Status& outcome);
  http::BackupInfo info() const;

 private:
  mutable std::mutex mutex_;
  http::BackupInfo info_;
};

}  // namespace terrazzo::app

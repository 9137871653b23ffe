#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/error.h"
#include "server/io/data_directory.h"

namespace terrazzo::app {

// Since when the past is complete: every edit that was asked for since then is in the log or the history. On disk, and
// written before anything is let go. Any thread.
class HistoryReach {
 public:
  // At the start. A data folder that does not say it, of an older server or from a backup, has it since now.
  Status load(io::DataDirectory& data);
  std::uint64_t since_us() const { return since_us_; }  // since 1970; 0: since ever
  // What was asked for before then is about to go, or has gone. Blocks.
  Status forget_before(io::DataDirectory& data, std::uint64_t time_us);

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> since_us_{0};
};

}  // namespace terrazzo::app

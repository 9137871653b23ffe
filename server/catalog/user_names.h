#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/io/data_directory.h"

namespace terrazzo::catalog {

// What users are called whom records of the log know by number: the first kNamesMax who ever came in, on disk in the
// data folder. Any thread.
//  1. A name that was noted is on disk after the next flush() that succeeds; what a crash leaves half written is nobody's.
//  2. A name that was forgotten is nowhere in the file; its number stays in the records.
class UserNames {
 public:
  static constexpr std::size_t kNamesMax = 100'000;
  static constexpr std::size_t kNameBytesMax = 255;  // of a longer one the beginning is kept

  // Before anything else. Damaged parts of the file are left out and counted; the rest counts.
  Status load(const io::DataDirectory& data);
  std::size_t damaged() const { return damaged_; }

  // True: it is new, and waits for flush().
  bool note(UserId user, std::string_view name);
  // Empty: not known.
  std::string name_of(UserId user) const;
  // Blocks; what could not be written is tried again the next time.
  Status flush(io::DataDirectory& data);
  // Blocks. not_found: there is none. After an error it may come back at the next start.
  Status forget(io::DataDirectory& data, UserId user);

 private:
  mutable std::mutex mutex_;
  std::mutex file_mutex_;  // one writer; taken before mutex_
  std::map<UserId, std::string> names_;
  std::vector<UserId> fresh_;  // not in the file yet
  std::size_t damaged_ = 0;
};

}  // namespace terrazzo::catalog

#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/strong_id.h"

namespace terrazzo::app {

// What users whom records of the log know by number are called: those who came in this run, the first kNamesMax. Any
// thread.
class UserNames {
 public:
  static constexpr std::size_t kNamesMax = 100'000;

  void note(UserId user, std::string_view name) {
    const std::lock_guard lock(mutex_);
    if (names_.size() < kNamesMax) names_.try_emplace(user, name);
  }
  // Empty: not known.
  std::string name_of(UserId user) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(user);
    return found == names_.end() ? std::string() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<UserId, std::string> names_;
};

}  // namespace terrazzo::app

#pragma once

#include <atomic>
#include <libcuckoo/cuckoohash_map.hh>
#include <memory>
#include <string>

#include "server/session/token_bucket.h"
#include "server/shard/claim.h"

namespace terrazzo::app {

// A user whom tokens name: a number, so that shards compare numbers and not texts, and what the user may still do. The
// same for as long as the process runs, on every core.
struct User {
  UserId number;  // from 1
  std::shared_ptr<session::UserBudget> budget;
};

// Any thread.
class UserTable {
 public:
  User of(const std::string& name) {
    User found;
    if (users_.find_fn(name, [&](const User& known) { found = known; })) return found;
    // Of two that come at once, one number is never used.
    const User fresh{UserId{next_.fetch_add(1)}, std::make_shared<session::UserBudget>()};
    found = fresh;
    users_.upsert(
        name, [&](const User& known) { found = known; }, fresh);
    return found;
  }

 private:
  libcuckoo::cuckoohash_map<std::string, User> users_;
  std::atomic<std::uint64_t> next_{1};
};

}  // namespace terrazzo::app

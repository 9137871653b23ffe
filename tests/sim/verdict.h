#pragma once

#include <string>
#include <string_view>

namespace terrazzo::sim {

// The first claim of a run that was found false.
class Verdict {
 public:
  void fail(std::string_view claim, std::string what) {
    if (failed_) return;
    failed_ = true;
    claim_ = claim;
    what_ = std::move(what);
  }
  bool failed() const { return failed_; }
  const std::string& claim() const { return claim_; }
  const std::string& what() const { return what_; }

 private:
  bool failed_ = false;
  std::string claim_, what_;
};

}  // namespace terrazzo::sim

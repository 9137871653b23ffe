#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/strong_id.h"

namespace terrazzo::app {

// Proof that a client is who got this session: "<id in hex>.<HMAC-SHA256 of it under the node's secret>". Nothing is
// remembered for it, so it holds across restarts. Any thread.
class ResumeTokens {
 public:
  explicit ResumeTokens(std::array<std::byte, 32> secret) : secret_(secret) {}
  std::string issue(SessionId session) const;
  Result<SessionId> verify(std::string_view token) const;

 private:
  std::array<std::byte, 32> secret_;
};

}  // namespace terrazzo::app

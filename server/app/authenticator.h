#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "server/session/session_output.h"

namespace terrazzo::app {

// Judges tokens: JSON Web Tokens signed with HS256 (claims: sub, role, optionally exp), or nothing at all where the
// server runs with --auth none. Immutable; any thread.
class Authenticator {
 public:
  static Authenticator none() { return Authenticator(true, {}); }
  static Authenticator with_secret(std::string secret) { return Authenticator(false, std::move(secret)); }
  Result<session::Identity> authenticate(std::string_view token) const;
  bool open_to_all() const { return open_; }

 private:
  Authenticator(bool open, std::string secret) : open_(open), secret_(std::move(secret)) {}
  bool open_;
  std::string secret_;
};

// Reads the secret, making the file (mode 0600, 32 random bytes in hex) if it is missing.
Result<std::string> load_or_make_secret(const std::string& path);

}  // namespace terrazzo::app

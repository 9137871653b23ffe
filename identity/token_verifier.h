#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "identity/key_set.h"
#include "identity/role.h"

namespace terrazzo::identity {

// What a server wants of tokens besides a good signature.
struct TokenPolicy {
  std::string issuer;                  // `iss` must be it; empty: whoever it is
  std::vector<std::string> audiences;  // `aud` must name one of them; empty: tokens must not have an `aud`
  std::int64_t leeway_s = 30;          // by which clocks may differ
};

// What a good token says.
struct TokenClaims {
  std::string subject;
  WorldRoles roles;
  std::optional<std::int64_t> expires_s;  // since 1970; without leeway
};

// Why a token is not taken; a closed list, for metrics.
enum class Refusal : std::uint8_t {
  missing,
  malformed,    // no JSON Web Token
  algorithm,    // not one of ours
  unknown_key,  // no key with this `kid`, or none for this algorithm
  signature,
  expired,
  not_yet,
  issuer,
  audience,
  claims,   // `sub` or the roles are missing or wrong
  session,  // a resume token that is not the server's
};
inline constexpr std::array<std::string_view, 11> kRefusalNames = {"missing",   "malformed", "algorithm", "unknown_key",
                                                                   "signature", "expired",   "not_yet",   "issuer",
                                                                   "audience",  "claims",    "session"};

struct RefusedToken {
  Refusal reason = Refusal::malformed;
  std::string message;  // what is wrong, and what would be right
};

// Judges JSON Web Tokens (RFC 7519, signed as RFC 7515 says). The algorithm is the key's: one that the token names only
// chooses among the keys that are for it. Immutable; any thread. Time is an argument.
class TokenVerifier {
 public:
  static constexpr std::size_t kTokenBytesMax = 4096;  // as of any text of the protocol (FO-5)
  TokenVerifier(KeySet keys, TokenPolicy policy) : keys_(std::move(keys)), policy_(std::move(policy)) {}

  using Verdict = std::variant<TokenClaims, RefusedToken>;
  Verdict verify(std::string_view token, std::int64_t now_s) const;
  const KeySet& keys() const { return keys_; }
  const TokenPolicy& policy() const { return policy_; }

 private:
  std::optional<RefusedToken> prove(std::string_view header, std::string_view signed_text,
                                    std::string_view signature) const;
  Verdict judge(std::string_view payload, std::int64_t now_s) const;

  KeySet keys_;
  TokenPolicy policy_;
};

}  // namespace terrazzo::identity

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "identity/role.h"
#include "identity/token_key.h"

namespace terrazzo::identity {

// What a token is to say.
struct TokenDraft {
  std::string subject;
  WorldRoles roles;
  std::string issuer, audience;           // empty: left out
  std::int64_t issued_s = 0;              // since 1970
  std::optional<std::int64_t> expires_s;  // likewise; nothing: never
};

// `id`: the `kid`, where the key has none of its own; empty: none.
Result<std::string> make_token(const TokenKey& key, const std::string& id, const TokenDraft& draft);

}  // namespace terrazzo::identity

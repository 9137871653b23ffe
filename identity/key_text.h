#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "identity/token_key.h"

// Keys as files have them, told apart by what they begin with:
//   -----BEGIN …   PEM: public keys and certificates (RSA, Ed25519), or one private key
//   {              JSON: a JWKS, {"keys": […]}, or one JWK (RFC 7517: RSA, OKP with Ed25519, oct)
//   anything else  a secret for HS256: the first line, without spaces at its end
namespace terrazzo::identity {

struct KeysOfText {
  std::vector<TokenKey> keys;
  // Of a JWKS: for encryption, or for algorithms that are not ours. Others use those.
  std::size_t skipped = 0;
};

// For who only looks at tokens. A private key is refused: whoever can read it can make tokens, so it does not belong
// there.
Result<KeysOfText> verification_keys(std::string_view text);
// For who makes them.
Result<TokenKey> signing_key(std::string_view text);

}  // namespace terrazzo::identity

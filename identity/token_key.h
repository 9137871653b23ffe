#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "identity/algorithm.h"

namespace terrazzo::identity {

// A key that tokens are proven with, or made with. It says by itself for which algorithm it is: an RSA key is for
// RS256, an Ed25519 key for EdDSA, a secret for HS256, and nothing that a token says changes that. Immutable; any
// thread.
class TokenKey {
 public:
  static constexpr std::size_t kSecretBytesMin = 32;  // RFC 7518, 3.2: as many as the hash has
  static constexpr int kRsaBitsMin = 2048;            // RFC 7518, 3.3
  struct PkeyFree {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;

  // `id`: what a token's `kid` calls it; empty: tokens with any `kid`, or none, may be of it.
  static Result<TokenKey> of_secret(std::string id, std::string secret);
  // Public, or with `signs` private, which the key then has both halves of.
  static Result<TokenKey> of_pkey(std::string id, Pkey key, bool signs);

  Algorithm algorithm() const { return algorithm_; }
  const std::string& id() const { return id_; }
  bool signs() const { return signs_; }
  bool verify(std::string_view signed_text, std::string_view signature) const;
  // Of a key that signs().
  Result<std::string> sign(std::string_view text) const;

 private:
  TokenKey(std::string id, Algorithm algorithm, bool signs)
      : id_(std::move(id)), algorithm_(algorithm), signs_(signs) {}
  std::string mac(std::string_view text) const;

  std::string id_;
  Algorithm algorithm_;
  bool signs_;
  std::string secret_;              // of HS256
  std::shared_ptr<EVP_PKEY> pkey_;  // of the others
};

}  // namespace terrazzo::identity

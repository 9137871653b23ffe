#include "identity/token_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>

#include "base/assert.h"

namespace terrazzo::identity {
namespace {

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Ed25519 hashes by itself.
const EVP_MD* digest_of(Algorithm algorithm) {
  return algorithm == Algorithm::rs256 ? EVP_sha256() : nullptr;
}

}  // namespace

Result<TokenKey> TokenKey::of_secret(std::string id, std::string secret) {
  if (secret.size() < kSecretBytesMin) {
    return Error{ErrorCode::bad_message, "a secret of " + std::to_string(secret.size()) +
                                             " bytes: one for HS256 has at least " + std::to_string(kSecretBytesMin) +
                                             " (`openssl rand -hex 32` makes one)"};
  }
  TokenKey key(std::move(id), Algorithm::hs256, true);
  key.secret_ = std::move(secret);
  return key;
}

Result<TokenKey> TokenKey::of_pkey(std::string id, Pkey pkey, bool signs) {
  const int type = EVP_PKEY_get_base_id(pkey.get());
  if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519)
    return Error{ErrorCode::unsupported, "a key that is neither RSA (RS256) nor Ed25519 (EdDSA)"};
  if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey.get()) < kRsaBitsMin) {
    return Error{ErrorCode::bad_message, "an RSA key of " + std::to_string(EVP_PKEY_get_bits(pkey.get())) +
                                             " bits: one for RS256 has at least " + std::to_string(kRsaBitsMin)};
  }
  TokenKey key(std::move(id), type == EVP_PKEY_RSA ? Algorithm::rs256 : Algorithm::eddsa, signs);
  key.pkey_ = std::shared_ptr<EVP_PKEY>(pkey.release(), PkeyFree{});
  return key;
}

std::string TokenKey::mac(std::string_view text) const {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const unsigned char* made =
      HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), octets(text), text.size(), bytes, &size);
  TZ_ASSERT(made != nullptr);
  return {reinterpret_cast<const char*>(bytes), size};
}

bool TokenKey::verify(std::string_view signed_text, std::string_view signature) const {
  if (algorithm_ == Algorithm::hs256) {
    // In the same time whatever the signature is, or somebody could find it byte by byte.
    const std::string right = mac(signed_text);
    return signature.size() == right.size() && CRYPTO_memcmp(signature.data(), right.data(), right.size()) == 0;
  }
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(EVP_MD_CTX_new());
  const bool good =
      context && EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm_), nullptr, pkey_.get()) == 1 &&
      EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(signed_text), signed_text.size()) ==
          1;
  // What is left in this thread's queue would be taken for a fault of the next TLS connection.
  if (!good) ERR_clear_error();
  return good;
}

Result<std::string> TokenKey::sign(std::string_view text) const {
  TZ_ASSERT(signs_);
  if (algorithm_ == Algorithm::hs256) return mac(text);
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  std::string signature;
  bool good = context && EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm_), nullptr, pkey_.get()) == 1 &&
              EVP_DigestSign(context.get(), nullptr, &size, octets(text), text.size()) == 1;
  if (good) {
    signature.resize(size);
    good = EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, octets(text),
                          text.size()) == 1;
    signature.resize(size);
  }
  if (good) return signature;
  ERR_clear_error();
  return Error{ErrorCode::internal, "the key cannot sign"};
}

}  // namespace terrazzo::identity

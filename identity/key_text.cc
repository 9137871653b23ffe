#include "identity/key_text.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "identity/base64url.h"

namespace terrazzo::identity {
namespace {

using nlohmann::json;
using Pkey = TokenKey::Pkey;
enum class Half : std::uint8_t { public_half, private_half };

constexpr const char* kPrivateHere =
    "a private key, with which anybody could make tokens: give the server only the public half "
    "(`openssl pkey -in private.pem -pubout -out public.pem`)";

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* value) const {
    Free(value);
  }
};
using Number = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;

// ---- PEM ----

struct PemBlock {
  std::string label, bytes;
};

Result<std::vector<PemBlock>> blocks_of(std::string_view text) {
  const std::unique_ptr<BIO, FreeBy<BIO_free>> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<PemBlock> blocks;
  char *label = nullptr, *header = nullptr;
  unsigned char* bytes = nullptr;
  long size = 0;
  while (bio && PEM_read_bio(bio.get(), &label, &header, &bytes, &size) == 1) {
    blocks.push_back({label, std::string(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size))});
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(bytes, static_cast<std::size_t>(size));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (blocks.empty() || !at_end) return Error{ErrorCode::bad_message, "PEM that ends too early, or is damaged"};
  return blocks;
}

Pkey public_key_of(const PemBlock& block) {
  const auto* at = reinterpret_cast<const unsigned char*>(block.bytes.data());
  const long size = static_cast<long>(block.bytes.size());
  if (block.label == "PUBLIC KEY") return Pkey(d2i_PUBKEY(nullptr, &at, size));
  if (block.label == "RSA PUBLIC KEY") return Pkey(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size));
  if (block.label != "CERTIFICATE") return {};
  const std::unique_ptr<X509, FreeBy<X509_free>> certificate(d2i_X509(nullptr, &at, size));
  return Pkey(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
}

Result<KeysOfText> public_keys_of_pem(std::string_view text) {
  const Result<std::vector<PemBlock>> blocks = blocks_of(text);
  if (!blocks) return blocks.error();
  KeysOfText found;
  for (const PemBlock& block : *blocks) {
    if (block.label.find("PRIVATE KEY") != std::string::npos) return Error{ErrorCode::forbidden, kPrivateHere};
    Pkey pkey = public_key_of(block);
    ERR_clear_error();
    if (!pkey) {
      return Error{ErrorCode::bad_message,
                   "a PEM block \"" + block.label + "\" that is no PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE"};
    }
    Result<TokenKey> key = TokenKey::of_pkey({}, std::move(pkey), false);
    if (!key) return key.error();
    found.keys.push_back(*std::move(key));
  }
  return found;
}

Result<TokenKey> private_key_of_pem(std::string_view text) {
  const std::unique_ptr<BIO, FreeBy<BIO_free>> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // Nobody is asked for a passphrase.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  Pkey pkey(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
  ERR_clear_error();
  if (!pkey)
    return Error{ErrorCode::bad_message, "no private key in PEM without a passphrase; tokens are signed with one"};
  return TokenKey::of_pkey({}, std::move(pkey), true);
}

// ---- JSON Web Keys ----

std::optional<std::string> bytes_in(const json& jwk, const char* member) {
  const auto found = jwk.find(member);
  return found != jwk.end() && found->is_string() ? from_base64url(found->get_ref<const std::string&>()) : std::nullopt;
}

std::string text_in(const json& jwk, const char* member) {
  const auto found = jwk.find(member);
  return found != jwk.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Number number_of(const std::string& bytes) {
  return Number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

// The members of RFC 7518, 6.3, and OpenSSL's names of them; the first two are the public half.
constexpr std::pair<const char*, const char*> kRsaParts[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
    {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};

Pkey rsa_of(const json& jwk, Half half) {
  const std::unique_ptr<OSSL_PARAM_BLD, FreeBy<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  std::vector<Number> numbers;  // live until the parameters are made
  const std::size_t parts = half == Half::public_half ? 2 : std::size(kRsaParts);
  for (std::size_t i = 0; i < parts; ++i) {
    const std::optional<std::string> bytes = bytes_in(jwk, kRsaParts[i].first);
    if (!bytes || bytes->empty() || bytes->size() > 2048) return {};
    numbers.push_back(number_of(*bytes));
    if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), kRsaParts[i].second, numbers.back().get()) != 1) return {};
  }
  const std::unique_ptr<OSSL_PARAM, FreeBy<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &pkey, half == Half::public_half ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR,
                        params.get()) != 1)
    return {};
  return Pkey(pkey);
}

Pkey ed25519_of(const json& jwk, Half half) {
  const std::optional<std::string> bytes = bytes_in(jwk, half == Half::public_half ? "x" : "d");
  if (!bytes) return {};
  const auto* octets = reinterpret_cast<const unsigned char*>(bytes->data());
  return Pkey(half == Half::public_half
                  ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets, bytes->size())
                  : EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets, bytes->size()));
}

// The algorithm that a JWK of this kind is for; nothing: none of ours, or not for signatures.
std::optional<Algorithm> algorithm_of(const json& jwk) {
  const std::string kty = text_in(jwk, "kty"), use = text_in(jwk, "use"), alg = text_in(jwk, "alg");
  std::optional<Algorithm> algorithm;
  if (kty == "RSA") algorithm = Algorithm::rs256;
  if (kty == "oct") algorithm = Algorithm::hs256;
  if (kty == "OKP" && text_in(jwk, "crv") == "Ed25519") algorithm = Algorithm::eddsa;
  const bool other = !use.empty() && use != "sig";
  return !algorithm || other || (!alg.empty() && alg != algorithm_name(*algorithm)) ? std::nullopt : algorithm;
}

Result<TokenKey> key_of(const json& jwk, Algorithm algorithm, Half half) {
  const std::string id = text_in(jwk, "kid");
  const auto named = [&](const std::string& what) {
    return Error{ErrorCode::bad_message, "JSON Web Key" + (id.empty() ? "" : " \"" + id + "\"") + ": " + what};
  };
  if (algorithm == Algorithm::hs256) {
    std::optional<std::string> secret = bytes_in(jwk, "k");
    if (!secret) return named("k is not base64url");
    Result<TokenKey> key = TokenKey::of_secret(id, *std::move(secret));
    return key ? std::move(key) : Result<TokenKey>(named(key.error().message));
  }
  if (half == Half::public_half && jwk.contains("d")) return Error{ErrorCode::forbidden, named(kPrivateHere).message};
  Pkey pkey = algorithm == Algorithm::rs256 ? rsa_of(jwk, half) : ed25519_of(jwk, half);
  ERR_clear_error();
  if (!pkey) {
    return named(half == Half::private_half ? "it has no private half that fits together (d, for RSA p, q, dp, dq, qi)"
                 : algorithm == Algorithm::rs256 ? "n and e make no RSA key"
                                                 : "x makes no Ed25519 key");
  }
  Result<TokenKey> key = TokenKey::of_pkey(id, std::move(pkey), half == Half::private_half);
  return key ? std::move(key) : Result<TokenKey>(named(key.error().message));
}

Result<KeysOfText> keys_of_json(std::string_view text, Half half) {
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error{ErrorCode::bad_message, "JSON that cannot be read"};
  const json keys = parsed.contains("keys") ? parsed["keys"] : json::array({parsed});
  if (!keys.is_array()) return Error{ErrorCode::bad_message, "a JWKS is {\"keys\": [ … ]}"};
  KeysOfText found;
  for (const json& jwk : keys) {
    if (!jwk.is_object()) return Error{ErrorCode::bad_message, "a JWKS is a list of objects"};
    const std::optional<Algorithm> algorithm = algorithm_of(jwk);
    if (!algorithm) {
      ++found.skipped;
      continue;
    }
    Result<TokenKey> key = key_of(jwk, *algorithm, half);
    if (!key) return key.error();
    found.keys.push_back(*std::move(key));
  }
  if (found.keys.empty())
    return Error{ErrorCode::bad_message, "no key for signatures with RS256, EdDSA (Ed25519) or HS256 in it"};
  return found;
}

// ---- all of them ----

bool is_pem(std::string_view text) {
  return text.starts_with("-----BEGIN ");
}
bool is_json(std::string_view text) {
  return text.starts_with('{');
}
std::string_view without_leading_space(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

Result<TokenKey> secret_of(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return TokenKey::of_secret({}, std::string(text));
}

}  // namespace

Result<KeysOfText> verification_keys(std::string_view text) {
  text = without_leading_space(text);
  if (is_pem(text)) return public_keys_of_pem(text);
  if (is_json(text)) return keys_of_json(text, Half::public_half);
  Result<TokenKey> secret = secret_of(text);
  if (!secret) return secret.error();
  KeysOfText found;
  found.keys.push_back(*std::move(secret));
  return found;
}

Result<TokenKey> signing_key(std::string_view text) {
  text = without_leading_space(text);
  if (is_pem(text)) return private_key_of_pem(text);
  if (!is_json(text)) return secret_of(text);
  Result<KeysOfText> found = keys_of_json(text, Half::private_half);
  if (!found) return found.error();
  if (found->keys.size() != 1)
    return Error{ErrorCode::bad_message, "several keys: name a file with the one to sign with"};
  return std::move(found->keys.front());
}

}  // namespace terrazzo::identity

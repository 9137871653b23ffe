#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>
#include <string_view>

#include "identity/key_set.h"

namespace terrazzo::identity {

// A key pair in PEM, made for the test.
struct MadeKey {
  std::string private_pem, public_pem;
};

inline MadeKey pem_of(EVP_PKEY* pkey) {
  const auto text = [](auto write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string out(bytes, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
  };
  MadeKey made{text([&](BIO* bio) { PEM_write_bio_PrivateKey(bio, pkey, nullptr, nullptr, 0, nullptr, nullptr); }),
               text([&](BIO* bio) { PEM_write_bio_PUBKEY(bio, pkey); })};
  EVP_PKEY_free(pkey);
  return made;
}
inline MadeKey make_rsa(unsigned bits = 2048) {
  return pem_of(EVP_RSA_gen(bits));
}
inline MadeKey make_ed25519() {
  return pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

inline KeySet set_of(std::initializer_list<std::string_view> texts) {
  KeySet set;
  for (const std::string_view text : texts) {
    auto found = verification_keys(text);
    TZ_ASSERT(found.ok());
    TZ_ASSERT(set.add(*std::move(found)).ok());
  }
  return set;
}

}  // namespace terrazzo::identity

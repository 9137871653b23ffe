#include "tests/net/certificates.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <memory>

namespace terrazzo::net {
namespace {

constexpr long kDay = 24 * 3600;

struct Free {
  void operator()(::EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(::X509* certificate) const { ::X509_free(certificate); }
  void operator()(::BIO* bio) const { ::BIO_free(bio); }
};
using Key = std::unique_ptr<::EVP_PKEY, Free>;
using Certificate = std::unique_ptr<::X509, Free>;

template <class Write>
std::string pem(Write write) {
  const std::unique_ptr<::BIO, Free> bio(::BIO_new(::BIO_s_mem()));
  EXPECT_EQ(write(bio.get()), 1);
  char* text = nullptr;
  const long size = ::BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

Key new_key() {
  return Key(::EVP_EC_gen("P-256"));
}

Certificate blank(::EVP_PKEY* key, const std::string& name, long serial, int days) {
  Certificate made(::X509_new());
  ::X509_set_version(made.get(), 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), serial);
  ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), -60 * kDay);
  ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), days * kDay);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  ::X509_set_pubkey(made.get(), key);
  return made;
}

void extend(::X509* certificate, ::X509* issuer, int what, const std::string& value) {
  ::X509V3_CTX context{};
  ::X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ::X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  EXPECT_NE(extension, nullptr) << value;
  ::X509_add_ext(certificate, extension, -1);
  ::X509_EXTENSION_free(extension);
}

}  // namespace

struct TestAuthority::State {
  Key key;
  Certificate certificate;
  long serial = 1;
};

TestAuthority::TestAuthority() : state_(new State) {
  state_->key = new_key();
  state_->certificate = blank(state_->key.get(), "Terrazzo's tests", 1, 365);
  ::X509* own = state_->certificate.get();
  ::X509_set_issuer_name(own, ::X509_get_subject_name(own));
  extend(own, own, NID_basic_constraints, "critical,CA:TRUE");
  extend(own, own, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(own, own, NID_subject_key_identifier, "hash");
  EXPECT_GT(::X509_sign(own, state_->key.get(), ::EVP_sha256()), 0);
  ca_pem_ = pem([&](::BIO* bio) { return ::PEM_write_bio_X509(bio, own); });
}
TestAuthority::~TestAuthority() {
  delete state_;
}

TestCertificate TestAuthority::sign(const CertificateWish& wish) {
  const Key key = new_key();
  const Certificate made = blank(key.get(), wish.name, ++state_->serial, wish.days);
  ::X509* issuer = state_->certificate.get();
  ::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer));
  extend(made.get(), issuer, NID_subject_alt_name,
         "DNS:" + wish.name + (wish.loopback ? ",DNS:localhost,IP:127.0.0.1,IP:::1" : ""));
  extend(made.get(), issuer, NID_authority_key_identifier, "keyid");
  EXPECT_GT(::X509_sign(made.get(), state_->key.get(), ::EVP_sha256()), 0);
  return {pem([&](::BIO* bio) { return ::PEM_write_bio_X509(bio, made.get()); }), pem([&](::BIO* bio) {
            return ::PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

}  // namespace terrazzo::net

#include "server/net/tls_identity.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/assert.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kPemBytesMax = 1 << 20;
constexpr unsigned char kProtocols[] = "\x08http/1.1";
constexpr unsigned kProtocolsSize = sizeof kProtocols - 1;

template <auto Free>
struct With {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<::BIO, With<::BIO_free_all>>;
using Certificate = std::unique_ptr<::X509, With<::X509_free>>;
using Key = std::unique_ptr<::EVP_PKEY, With<::EVP_PKEY_free>>;

// The newest thing OpenSSL has to say, and nothing left of it for the next one.
std::string reason() {
  char text[256] = "unknown error";
  if (const unsigned long code = ::ERR_peek_last_error(); code != 0) {
    const char* words = ::ERR_reason_error_string(code);
    if (words != nullptr) {
      std::snprintf(text, sizeof text, "%s", words);
    } else {
      ::ERR_error_string_n(code, text, sizeof text);
    }
  }
  ::ERR_clear_error();
  return text;
}

Error wrong(std::string message) {
  return {ErrorCode::bad_message, std::move(message)};
}

Result<std::string> read_pem(const char* what, const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return wrong(fmt::format("the {} {} cannot be read: {}", what, path, std::strerror(errno)));
  if (text.size() > kPemBytesMax) return wrong(fmt::format("{} is too large for a {}", path, what));
  return text;
}

Bio bio_of(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Instead of OpenSSL's, which asks on the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

int choose_protocol(::SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  if (::SSL_select_next_proto(&chosen, out_size, kProtocols, kProtocolsSize, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301, 3.2
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool use_chain(::SSL_CTX* context, const std::string& chain) {
  const Bio bio = bio_of(chain);
  const Certificate own(::PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr));
  if (!own || ::SSL_CTX_use_certificate(context, own.get()) != 1) return false;
  while (::X509* next = ::PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    if (::SSL_CTX_add0_chain_cert(context, next) != 1) {
      ::X509_free(next);
      return false;
    }
  }
  const bool at_the_end = ERR_GET_REASON(::ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_the_end) ::ERR_clear_error();
  return at_the_end;
}

bool set_up(::SSL_CTX* context) {
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection keeps no record buffers (34 KiB).
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Clients keep sessions themselves, in tickets.
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         ::SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
         ::SSL_CTX_set_num_tickets(context, 1) == 1;
}

}  // namespace

TicketKeys TicketKeys::random() {
  TicketKeys keys;
  TZ_ASSERT(::RAND_bytes(keys.bytes.data(), static_cast<int>(keys.bytes.size())) == 1);
  return keys;
}

void TlsContext::Free::operator()(::SSL_CTX* context) const {
  ::SSL_CTX_free(context);
}

Result<TlsContext> TlsContext::create(const TlsIdentity& identity) {
  ::ERR_clear_error();
  TlsContext made;
  made.context_.reset(::SSL_CTX_new(::TLS_server_method()));
  ::SSL_CTX* context = made.get();
  if (context == nullptr || !set_up(context)) return Error{ErrorCode::internal, "OpenSSL: " + reason()};
  if (!use_chain(context, identity.chain_)) return wrong("OpenSSL does not take the certificate chain: " + reason());
  const Key key(::PEM_read_bio_PrivateKey(bio_of(identity.key_).get(), nullptr, no_passphrase, nullptr));
  if (!key) return wrong("OpenSSL does not take the key: " + reason());
  if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1 || ::SSL_CTX_check_private_key(context) != 1)
    return wrong("the key is not that of the certificate: " + reason());
  std::array<unsigned char, 80> tickets = identity.tickets_.bytes;
  if (::SSL_CTX_set_tlsext_ticket_keys(context, tickets.data(), static_cast<long>(tickets.size())) != 1)
    return Error{ErrorCode::internal, "OpenSSL: " + reason()};
  return made;
}

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::load(const std::string& chain_file, const std::string& key_file,
                                                             const TicketKeys& tickets) {
  const Result<std::string> chain = read_pem("certificate", chain_file), key = read_pem("key", key_file);
  if (!chain) return chain.error();
  if (!key) return key.error();
  ::ERR_clear_error();
  const Certificate own(::PEM_read_bio_X509_AUX(bio_of(*chain).get(), nullptr, no_passphrase, nullptr));
  if (!own)
    return wrong(chain_file + " holds no certificate in PEM (it begins with -----BEGIN CERTIFICATE-----): " + reason());
  if (!Key(::PEM_read_bio_PrivateKey(bio_of(*key).get(), nullptr, no_passphrase, nullptr)))
    return wrong(
        key_file +
        " holds no private key in PEM without a passphrase (it begins with -----BEGIN PRIVATE KEY-----): " + reason());
  std::tm expires{};
  ::ASN1_TIME_to_tm(::X509_get0_notAfter(own.get()), &expires);
  char name[256] = "";
  ::X509_NAME_oneline(::X509_get_subject_name(own.get()), name, sizeof name);

  const std::shared_ptr<TlsIdentity> identity(new TlsIdentity);
  identity->chain_ = *chain;
  identity->key_ = *key;
  identity->tickets_ = tickets;
  identity->expires_s_ = ::timegm(&expires);
  identity->subject_ = name;
  if (const Result<TlsContext> trial = TlsContext::create(*identity); !trial)
    return wrong(fmt::format("{} and {}: {}", chain_file, key_file, trial.error().message));
  return std::shared_ptr<const TlsIdentity>(identity);
}

}  // namespace terrazzo::net

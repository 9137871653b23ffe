#include "tests/net/tls_client.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <utility>

namespace terrazzo::net {
namespace {

struct SslFree {
  void operator()(::SSL* ssl) const { ::SSL_free(ssl); }
  void operator()(::SSL_CTX* context) const { ::SSL_CTX_free(context); }
};

}  // namespace

struct TlsClient::State {
  State(std::uint16_t port, int receive_bytes) : raw(port, receive_bytes) {}
  RawClient raw;
  std::unique_ptr<::SSL_CTX, SslFree> context{::SSL_CTX_new(::TLS_client_method())};
  std::unique_ptr<::SSL, SslFree> ssl;
  ::BIO* in = nullptr;
  ::BIO* out = nullptr;
  std::string plain, problem;
  bool clean = false;
};

TlsClient::TlsClient(std::uint16_t port) : TlsClient(port, Wish{}) {}
TlsClient::TlsClient(std::uint16_t port, const Wish& wish, int receive_bytes)
    : state_(std::make_unique<State>(port, receive_bytes)) {
  State& s = *state_;
  if (wish.version_max != 0) {
    // Debian's security level forbids what the server is to refuse.
    ::SSL_CTX_set_security_level(s.context.get(), 0);
    ::SSL_CTX_set_min_proto_version(s.context.get(), 0);
    ::SSL_CTX_set_max_proto_version(s.context.get(), wish.version_max);
  }
  s.ssl.reset(::SSL_new(s.context.get()));
  if (!wish.protocol.empty()) {
    const std::string list = static_cast<char>(wish.protocol.size()) + wish.protocol;
    ::SSL_set_alpn_protos(s.ssl.get(), reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
  }
  if (wish.session != nullptr) ::SSL_set_session(s.ssl.get(), wish.session);
  s.in = ::BIO_new(::BIO_s_mem());
  s.out = ::BIO_new(::BIO_s_mem());
  ::BIO_set_mem_eof_return(s.in, -1);
  ::SSL_set_bio(s.ssl.get(), s.in, s.out);
  ::SSL_set_connect_state(s.ssl.get());
}
TlsClient::~TlsClient() = default;

RawClient& TlsClient::raw() {
  return state_->raw;
}
::SSL* TlsClient::ssl() {
  return state_->ssl.get();
}

std::string TlsClient::sealed() {
  std::string bytes(::BIO_ctrl_pending(state_->out), '\0');
  if (!bytes.empty()) ::BIO_read(state_->out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

bool TlsClient::push() {
  const std::string bytes = sealed();
  if (bytes.empty()) return true;
  return sender ? sender(bytes) : state_->raw.send(bytes);
}

bool TlsClient::pull() {
  const auto bytes = state_->raw.read_some();
  if (!bytes) return false;
  ::BIO_write(state_->in, bytes->data(), static_cast<int>(bytes->size()));
  return true;
}

bool TlsClient::handshake() {
  State& s = *state_;
  for (;;) {
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(s.ssl.get());
    if (!push() && result != 1) s.problem = "the server takes nothing more";
    if (result == 1) return true;
    if (::SSL_get_error(s.ssl.get(), result) != SSL_ERROR_WANT_READ) {
      const char* words = ::ERR_reason_error_string(::ERR_peek_last_error());
      s.problem = words != nullptr ? words : "unknown";
      return false;
    }
    if (!pull()) {
      s.problem = "the connection ended";
      return false;
    }
  }
}

bool TlsClient::send(std::string_view plain) {
  ::ERR_clear_error();
  return ::SSL_write(ssl(), plain.data(), static_cast<int>(plain.size())) == static_cast<int>(plain.size()) && push();
}

bool TlsClient::read_some() {
  State& s = *state_;
  for (;;) {
    ::ERR_clear_error();
    char bytes[16384];
    const int size = ::SSL_read(s.ssl.get(), bytes, sizeof bytes);
    push();
    if (size > 0) {
      s.plain.append(bytes, static_cast<std::size_t>(size));
      return true;
    }
    const int error = ::SSL_get_error(s.ssl.get(), size);
    s.clean = error == SSL_ERROR_ZERO_RETURN;
    if (error != SSL_ERROR_WANT_READ) {
      const char* words = ::ERR_reason_error_string(::ERR_peek_last_error());
      if (words != nullptr) s.problem = words;
      return false;
    }
    if (!pull()) return false;
  }
}

std::optional<std::string> TlsClient::read_until(std::string_view end) {
  std::size_t at = 0;
  while ((at = state_->plain.find(end)) == std::string::npos)
    if (!read_some()) return std::nullopt;
  return read_bytes(at + end.size());
}

std::optional<std::string> TlsClient::read_bytes(std::size_t count) {
  std::string& plain = state_->plain;
  while (plain.size() < count)
    if (!read_some()) return std::nullopt;
  std::string bytes = plain.substr(0, count);
  plain.erase(0, count);
  return bytes;
}

std::optional<std::string> TlsClient::read_small_frame() {
  const auto start = read_bytes(2);
  if (!start) return std::nullopt;
  return read_bytes(static_cast<std::uint8_t>((*start)[1]) & 0x7Fu);
}

bool TlsClient::say_goodbye() {
  ::SSL_shutdown(ssl());
  return push();
}

std::string TlsClient::read_to_end() {
  while (read_some()) {
  }
  return std::exchange(state_->plain, {});
}

bool TlsClient::clean() const {
  return state_->clean;
}
std::string TlsClient::problem() const {
  return state_->problem;
}

std::string TlsClient::server_name() const {
  ::X509* certificate = ::SSL_get0_peer_certificate(state_->ssl.get());
  char name[256] = "";
  if (certificate != nullptr)
    ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}
bool TlsClient::resumed() const {
  return ::SSL_session_reused(state_->ssl.get()) != 0;
}

}  // namespace terrazzo::net

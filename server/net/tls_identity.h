#pragma once

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"

namespace terrazzo::net {

// What session tickets are sealed with. The same for all cores and over every reload of the certificate, so that a
// client resumes on whatever core the kernel gives it to; made anew with each process.
struct TicketKeys {
  std::array<unsigned char, 80> bytes{};
  static TicketKeys random();
};

// A certificate chain and its private key, proven to belong together. Immutable, for any thread.
class TlsIdentity {
 public:
  // PEM files: the server's certificate first, then those between it and the root; the key without a passphrase.
  static Result<std::shared_ptr<const TlsIdentity>> load(const std::string& chain_file, const std::string& key_file,
                                                         const TicketKeys& tickets);

  // Of the server's certificate, in seconds since 1970.
  std::int64_t expires_s() const { return expires_s_; }
  // Who it says that the server is, for the log.
  const std::string& subject() const { return subject_; }

 private:
  friend class TlsContext;
  TlsIdentity() = default;

  std::string chain_, key_;
  TicketKeys tickets_;
  std::int64_t expires_s_ = 0;
  std::string subject_;
};

// OpenSSL's settings and the parsed identity, of one core: nothing that OpenSSL counts is shared between cores.
class TlsContext {
 public:
  // TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only, ALPN http/1.1, no renegotiation.
  static Result<TlsContext> create(const TlsIdentity& identity);
  ::SSL_CTX* get() const { return context_.get(); }

 private:
  struct Free {
    void operator()(::SSL_CTX* context) const;
  };
  std::unique_ptr<::SSL_CTX, Free> context_;
};

}  // namespace terrazzo::net

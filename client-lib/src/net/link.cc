#include "client-lib/src/net/link.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

namespace terrazzo::client {

Link::~Link() {
  // OpenSSL resumes no session whose connection ended without a goodbye, unless it is told that there was one.
  if (tls_) ::SSL_set_shutdown(tls_->native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

Status Link::use_tls(std::shared_ptr<boost::asio::ssl::context> context, const Url& url, ::SSL_SESSION* session) {
  context_ = std::move(context);
  tls_.emplace(tcp_, *context_);
  ::SSL* const ssl = tls_->native_handle();
  boost::system::error_code no_address;
  boost::asio::ip::make_address(url.host, no_address);
  bool set = true;
  if (no_address) {
    set = ::SSL_set_tlsext_host_name(ssl, url.host.c_str()) == 1 && ::SSL_set1_host(ssl, url.host.c_str()) == 1;
  } else {
    set = ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), url.host.c_str()) == 1;
  }
  if (!set) return Error{ErrorCode::bad_message, "\"" + url.host + "\" is no name or address that TLS knows of"};
  if (session != nullptr) ::SSL_set_session(ssl, session);
  return {};
}

std::string Link::tls_problem(const boost::system::error_code& error, const Url& url) const {
  const long verified = tls_ ? ::SSL_get_verify_result(const_cast<Tls&>(*tls_).native_handle()) : X509_V_OK;
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return "the server's certificate is not for " + url.host + ": use the name that it is for in the address";
  }
  if (verified != X509_V_OK) {
    const std::string words = ::X509_verify_cert_error_string(verified);
    return "the server's certificate is not trusted (" + words +
           "): name the file of the authority that signed it (ca_file, --ca), or have the server get another one";
  }
  if (error.category() == boost::asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_WRONG_VERSION_NUMBER) {
    return "the server does not speak TLS there: use ws:// or http:// in the address";
  }
  return "TLS: " + error.message();
}

::SSL_SESSION* Link::session() const {
  if (!tls_) return nullptr;
  return ::SSL_get1_session(const_cast<Tls&>(*tls_).native_handle());
}

}  // namespace terrazzo::client

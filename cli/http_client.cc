#include "cli/http_client.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

namespace terrazzo::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = boost::asio::ssl;
constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

struct HttpClient::State {
  std::string server, token, ca_file, host, port;
  bool https = false;
  asio::io_context io;
  std::optional<ssl::context> context;
  std::optional<beast::tcp_stream> stream;
  std::optional<ssl::stream<beast::tcp_stream&>> tls;  // on it

  bool parse() {
    https = server.starts_with("https://");
    if (!https && !server.starts_with("http://")) return false;
    std::string rest = server.substr(server.find("://") + 3);
    rest = rest.substr(0, rest.find('/'));
    const std::size_t colon = rest.rfind(':');
    const bool has_port = colon != std::string::npos && rest.back() != ']';
    host = rest.substr(0, has_port ? colon : std::string::npos);
    port = has_port ? rest.substr(colon + 1) : https ? "443" : "80";
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return !host.empty() && !port.empty();
  }
  beast::error_code connect() {
    beast::error_code error;
    const auto endpoints = asio::ip::tcp::resolver(io).resolve(host, port, error);
    if (error) return error;
    stream.emplace(io);
    stream->connect(endpoints, error);
    if (!error && https) secure(error);
    if (error) hang_up();
    return error;
  }
  Status trust() {
    if (!https || context) return {};
    context.emplace(ssl::context::tls_client);
    beast::error_code error;
    if (ca_file.empty()) {
      context->set_default_verify_paths(error);
    } else {
      context->load_verify_file(ca_file, error);
    }
    if (error) {
      context.reset();
      return Error{ErrorCode::bad_message,
                   "--ca " + ca_file + " holds no certificates in PEM (" + error.message() + ")"};
    }
    context->set_verify_mode(ssl::verify_peer, error);
    return {};
  }
  void secure(beast::error_code& error) {
    tls.emplace(*stream, *context);
    ::SSL* const own = tls->native_handle();
    beast::error_code no_address;
    asio::ip::make_address(host, no_address);
    if (no_address) {
      ::SSL_set_tlsext_host_name(own, host.c_str());
      ::SSL_set1_host(own, host.c_str());
    } else {
      ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(own), host.c_str());
    }
    tls->handshake(ssl::stream_base::client, error);
    const long verified = ::SSL_get_verify_result(own);
    if (error && verified != X509_V_OK) distrust = ::X509_verify_cert_error_string(verified);
  }
  void hang_up() {
    tls.reset();
    stream.reset();
  }
  template <class Request, class Parser>
  void exchange(const Request& request, beast::flat_buffer& buffer, Parser& parser, beast::error_code& error) {
    const auto through = [&](auto& way) {
      beast::http::write(way, request, error);
      if (!error) beast::http::read(way, buffer, parser, error);
    };
    if (tls) return through(*tls);
    through(*stream);
  }

  std::string distrust;  // why the server's certificate was refused
};

HttpClient::HttpClient(std::string server, std::string token, std::string ca_file) : state_(new State) {
  state_->server = std::move(server);
  state_->token = std::move(token);
  state_->ca_file = std::move(ca_file);
}
HttpClient::~HttpClient() {
  delete state_;
}

Result<std::string> HttpClient::request(std::string_view method, const std::string& target, std::string_view body) {
  State& s = *state_;
  if (!s.parse())
    return Error{ErrorCode::bad_message, "--server \"" + s.server + "\" is not an address like http://127.0.0.1:8080"};
  if (Status trusted = s.trust(); !trusted) return trusted.error();
  namespace http = beast::http;
  http::request<http::string_body> request(http::string_to_verb({method.data(), method.size()}), target, 11);
  request.set(http::field::host, s.host + ":" + s.port);
  if (!s.token.empty()) request.set(http::field::authorization, "Bearer " + s.token);
  request.body() = body;
  request.prepare_payload();
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  beast::flat_buffer buffer;
  beast::error_code error;
  // A connection that the server has given up meanwhile is made anew, once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const bool fresh = !s.stream;
    if (fresh && (error = s.connect())) break;
    s.stream->expires_after(kPatience);
    s.exchange(request, buffer, parser, error);
    if (!error || fresh) break;
    s.hang_up();
  }
  if (error) {
    s.hang_up();
    if (!s.distrust.empty())
      return Error{
          ErrorCode::unauthenticated,
          "the certificate of " + s.server + " is not trusted (" + s.distrust +
              "): name the file of the authority that signed it with --ca, and the host as it is called there"};
    return Error{ErrorCode::overloaded, "no answer from " + s.server + " (" + error.message() +
                                            "): is the server running? `./dev run` starts one, --server names another"};
  }
  const auto& response = parser.get();
  if (!response.keep_alive()) s.hang_up();
  if (response.result_int() < 400) return response.body();
  const nlohmann::json problem = nlohmann::json::parse(response.body(), nullptr, false);
  const std::string detail = problem.is_object() && problem.contains("detail") && problem["detail"].is_string()
                                 ? problem["detail"].get<std::string>()
                                 : response.body();
  const ErrorCode code = response.result_int() == 404   ? ErrorCode::not_found
                         : response.result_int() == 409 ? ErrorCode::already_exists
                                                        : ErrorCode::bad_message;
  return Error{code, "the server says: " + detail};
}

std::string percent_encode(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

}  // namespace terrazzo::cli

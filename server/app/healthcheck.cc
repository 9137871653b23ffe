#include "server/app/healthcheck.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace terrazzo::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr auto kPatience = std::chrono::seconds(3);

struct Address {
  std::string host, port;
  bool tls = false;
};

Result<Address> parse(const std::string& url) {
  const Error wrong{ErrorCode::bad_message,
                    "\"" + url + "\" is not an address like http://127.0.0.1:8080 or https://127.0.0.1:8443"};
  Address address;
  address.tls = url.starts_with("https://");
  if (!address.tls && !url.starts_with("http://")) return wrong;
  std::string rest = url.substr(url.find("://") + 3);
  rest = rest.substr(0, rest.find('/'));
  const std::size_t colon = rest.rfind(':');
  if (rest.empty()) return wrong;
  const bool has_port = colon != std::string::npos && rest.back() != ']';
  address.host = rest.substr(0, has_port ? colon : std::string::npos);
  address.port = has_port ? rest.substr(colon + 1) : address.tls ? "443" : "80";
  if (address.host.size() > 2 && address.host.front() == '[')
    address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

struct Question {
  std::string url;
  beast::http::request<beast::http::empty_body> request{beast::http::verb::get, "/healthz", 11};
  beast::http::response<beast::http::string_body> response;
  beast::flat_buffer buffer;
  Status outcome;

  bool failed(const beast::error_code& error) {
    if (error) outcome = Error{ErrorCode::overloaded, url + ": " + error.message() + "; is the server running there?"};
    return static_cast<bool>(error);
  }
};

template <class Stream>
void ask(Stream& stream, Question& question) {
  beast::http::async_write(stream, question.request, [&](const beast::error_code& write_error, std::size_t) {
    if (question.failed(write_error)) return;
    beast::http::async_read(
        stream, question.buffer, question.response, [&](const beast::error_code& read_error, std::size_t) {
          if (question.failed(read_error)) return;
          const auto& answer = question.response;
          question.outcome =
              answer.result() == beast::http::status::ok
                  ? Status()
                  : Status(Error{ErrorCode::internal, question.url + "/healthz answered " +
                                                          std::to_string(answer.result_int()) + ": " + answer.body()});
        });
  });
}

Status trust(asio::ssl::context& context, const std::string& ca_file, const std::string& host) {
  if (ca_file.empty()) return {};
  beast::error_code error;
  context.load_verify_file(ca_file, error);
  if (error) return Error{ErrorCode::bad_message, "--ca " + ca_file + ": " + error.message()};
  context.set_verify_mode(asio::ssl::verify_peer, error);
  context.set_verify_callback(asio::ssl::host_name_verification(host), error);
  return {};
}

}  // namespace

Status healthcheck(const std::string& url, const std::string& ca_file) {
  const Result<Address> address = parse(url);
  if (!address) return address.error();
  asio::io_context io;
  asio::ssl::context tls(asio::ssl::context::tls_client);
  if (Status trusted = trust(tls, ca_file, address->host); !trusted) return trusted;
  asio::ssl::stream<beast::tcp_stream> stream(io, tls);
  Question question;
  question.url = url;
  question.outcome = Error{ErrorCode::overloaded, url + " does not answer within three seconds"};
  question.request.set(beast::http::field::host, address->host);
  stream.next_layer().expires_after(kPatience);
  beast::error_code resolve_error;
  const auto endpoints = asio::ip::tcp::resolver(io).resolve(address->host, address->port, resolve_error);
  if (question.failed(resolve_error)) return question.outcome;
  stream.next_layer().async_connect(endpoints, [&](const beast::error_code& connect_error, const auto&) {
    if (question.failed(connect_error)) return;
    if (!address->tls) return ask(stream.next_layer(), question);
    stream.async_handshake(asio::ssl::stream_base::client, [&](const beast::error_code& handshake_error) {
      if (!question.failed(handshake_error)) ask(stream, question);
    });
  });
  io.run();
  return question.outcome;
}

}  // namespace terrazzo::app

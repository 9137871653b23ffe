#include "server/app/healthcheck.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

namespace terrazzo::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

struct Address {
  std::string host, port;
};

Result<Address> parse(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const Error wrong{ErrorCode::bad_message, "\"" + url + "\" is not an address like http://127.0.0.1:8080"};
  if (!url.starts_with(kScheme)) return wrong;
  std::string rest = url.substr(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  const std::size_t colon = rest.rfind(':');
  if (rest.empty()) return wrong;
  if (colon == std::string::npos || rest.back() == ']') return Address{rest, "80"};
  std::string host = rest.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return Address{host, rest.substr(colon + 1)};
}

}  // namespace

Status healthcheck(const std::string& url) {
  const Result<Address> address = parse(url);
  if (!address) return address.error();
  asio::io_context io;
  beast::tcp_stream stream(io);
  beast::http::request<beast::http::empty_body> request(beast::http::verb::get, "/healthz", 11);
  request.set(beast::http::field::host, address->host);
  beast::http::response<beast::http::string_body> response;
  beast::flat_buffer buffer;
  Status outcome = Error{ErrorCode::overloaded, url + " does not answer within three seconds"};
  const auto failed = [&](const beast::error_code& error) {
    if (error) outcome = Error{ErrorCode::overloaded, url + ": " + error.message() + "; is the server running there?"};
    return static_cast<bool>(error);
  };
  stream.expires_after(std::chrono::seconds(3));
  beast::error_code resolve_error;
  const auto endpoints = asio::ip::tcp::resolver(io).resolve(address->host, address->port, resolve_error);
  if (failed(resolve_error)) return outcome;
  stream.async_connect(endpoints, [&](const beast::error_code& connect_error, const auto&) {
    if (failed(connect_error)) return;
    beast::http::async_write(stream, request, [&](const beast::error_code& write_error, std::size_t) {
      if (failed(write_error)) return;
      beast::http::async_read(stream, buffer, response, [&](const beast::error_code& read_error, std::size_t) {
        if (failed(read_error)) return;
        outcome =
            response.result() == beast::http::status::ok
                ? Status()
                : Status(Error{ErrorCode::internal, url + "/healthz answered " + std::to_string(response.result_int()) +
                                                        ": " + response.body()});
      });
    });
  });
  io.run();
  return outcome;
}

}  // namespace terrazzo::app

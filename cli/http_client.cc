#include "cli/http_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
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
constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

struct HttpClient::State {
  std::string server, token, host, port;
  asio::io_context io;
  std::optional<beast::tcp_stream> stream;

  bool parse() {
    constexpr std::string_view kScheme = "http://";
    if (!server.starts_with(kScheme)) return false;
    std::string rest = server.substr(kScheme.size());
    rest = rest.substr(0, rest.find('/'));
    const std::size_t colon = rest.rfind(':');
    const bool has_port = colon != std::string::npos && rest.back() != ']';
    host = rest.substr(0, has_port ? colon : std::string::npos);
    port = has_port ? rest.substr(colon + 1) : "80";
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return !host.empty() && !port.empty();
  }
  beast::error_code connect() {
    beast::error_code error;
    const auto endpoints = asio::ip::tcp::resolver(io).resolve(host, port, error);
    if (error) return error;
    stream.emplace(io);
    stream->connect(endpoints, error);
    if (error) stream.reset();
    return error;
  }
};

HttpClient::HttpClient(std::string server, std::string token)
    : state_(new State{std::move(server), std::move(token), {}, {}, asio::io_context{}, {}}) {}
HttpClient::~HttpClient() {
  delete state_;
}

Result<std::string> HttpClient::request(std::string_view method, const std::string& target, std::string_view body) {
  State& s = *state_;
  if (!s.parse())
    return Error{ErrorCode::bad_message, "--server \"" + s.server + "\" is not an address like http://127.0.0.1:8080"};
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
    http::write(*s.stream, request, error);
    if (!error) http::read(*s.stream, buffer, parser, error);
    if (!error || fresh) break;
    s.stream.reset();
  }
  if (error) {
    s.stream.reset();
    return Error{ErrorCode::overloaded, "no answer from " + s.server + " (" + error.message() +
                                            "): is the server running? `./dev run` starts one, --server names another"};
  }
  const auto& response = parser.get();
  if (!response.keep_alive()) s.stream.reset();
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

#include "server/net/http_exchange.h"

#include <openssl/evp.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/error.h"

namespace terrazzo::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::string_view kPath = "/v1/ws";
constexpr std::string_view kBinary = "terrazzo.v1.flatbuffers", kJson = "terrazzo.v1.json";

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// RFC 6455, 4.2.2: base64(SHA-1(key + GUID)).
std::string accept_key(std::string_view key) {
  constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const std::string both = std::string(key) + std::string(guid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(both.data(), both.size(), digest, &size, EVP_sha1(), nullptr);
  unsigned char text[64];
  const int length = EVP_EncodeBlock(text, digest, static_cast<int>(size));
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
}

}  // namespace

HttpResponse refusal_of(unsigned status, ErrorCode code, const std::string& detail) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/problem+json";
  const std::string name(error_code_name(code));
  response.body = R"({"detail":")" + detail + R"(","status":)" + std::to_string(status) + R"(,"title":")" + name +
                  R"(","type":"urn:terrazzo:error:)" + name + R"("})";
  return response;
}

struct HttpExchange::State {
  std::size_t header_max, body_max;
  const OriginRules* origins;
  std::optional<http::request_parser<http::string_body>> parser;
  std::string pending;     // bytes not parsed yet, from `parsed` on
  std::size_t parsed = 0;  // moved up only now and then, or many small requests would cost the square of their bytes
  std::uint64_t taken = 0;
  bool continued = false, judged = false;
  HttpRequest request;
  HttpResponse refusal;

  void start() {
    parser.emplace();
    parser->header_limit(static_cast<std::uint32_t>(header_max));
    parser->body_limit(body_max);
    parser->eager(true);
    taken = 0;
    continued = judged = false;
  }
  void take(std::size_t count) {
    taken += count;
    parsed += count;
    if (parsed * 2 < pending.size()) return;
    pending.erase(0, parsed);
    parsed = 0;
  }
  HttpRequest header() const {
    const auto& message = parser->get();
    return {view(message.method_string()),
            view(message.target()),
            {},
            view(message[http::field::content_type]),
            view(message[http::field::authorization]),
            view(message[http::field::origin])};
  }
  std::string_view field(http::field name) const { return view(parser->get()[name]); }
  bool unwelcome() {
    if (judged || !parser->is_header_done()) return false;
    judged = true;
    const std::string why = origins->refusal(field(http::field::origin), field(http::field::host));
    if (why.empty()) return false;
    refusal = refusal_of(403, ErrorCode::forbidden, why);
    return true;
  }
  // What lets a page of an allowed site read the answer.
  std::string for_guest() const {
    if (!origins->any()) return {};
    std::string text = "Vary: Origin\r\n";
    const std::string_view origin = field(http::field::origin);
    if (parser->is_header_done() && origins->is_guest(origin, field(http::field::host)))
      text += "Access-Control-Allow-Origin: " + std::string(origin) +
              "\r\nAccess-Control-Expose-Headers: Location, WWW-Authenticate\r\n";
    return text;
  }
  void refuse(const beast::error_code& error) {
    if (error == http::error::header_limit) {
      refusal = refusal_of(431, ErrorCode::too_large, "the header is larger than this server takes");
    } else if (error == http::error::body_limit) {
      refusal = refusal_of(413, ErrorCode::too_large, "the body is larger than this server takes");
    } else {
      refusal = refusal_of(400, ErrorCode::bad_message, "this is not an HTTP/1.1 request: " + error.message());
    }
  }
};

HttpExchange::HttpExchange(std::size_t header_bytes_max, std::size_t body_bytes_max, const OriginRules& origins)
    : state_(new State) {
  state_->origins = &origins;
  state_->header_max = header_bytes_max;
  state_->body_max = body_bytes_max;
  state_->start();
}
HttpExchange::~HttpExchange() = default;

void HttpExchange::hold(std::span<const std::byte> bytes) {
  state_->pending.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
std::size_t HttpExchange::held_bytes() const {
  return state_->pending.size() - state_->parsed;
}
bool HttpExchange::in_body() const {
  return state_->parser->is_header_done() && !state_->parser->is_done();
}
std::uint64_t HttpExchange::taken_bytes() const {
  return state_->taken;
}

bool HttpExchange::take_continue() {
  State& s = *state_;
  if (s.continued || !in_body() || s.parser->get().version() < 11) return false;
  if (!beast::iequals(s.parser->get()[http::field::expect], "100-continue")) return false;
  s.continued = true;
  return true;
}

HttpExchange::Step HttpExchange::feed(std::span<const std::byte> bytes) {
  State& s = *state_;
  hold(bytes);
  beast::error_code error;
  while (!s.parser->is_done() && held_bytes() != 0) {
    const std::size_t used = s.parser->put(boost::asio::buffer(s.pending.data() + s.parsed, held_bytes()), error);
    s.take(used);
    if (error == http::error::need_more) {
      // The parser wants a whole header at once; what is there stays.
      if (held_bytes() > s.header_max && !s.parser->is_header_done()) error = http::error::header_limit;
      if (error == http::error::need_more) return s.unwelcome() ? Step::unwelcome : Step::more;
    }
    if (error) {
      s.refuse(error);
      return Step::bad;
    }
  }
  if (s.unwelcome()) return Step::unwelcome;
  if (!s.parser->is_done()) return Step::more;
  s.request = s.header();
  s.request.body = s.parser->get().body();
  return Step::request;
}

std::optional<HttpResponse> HttpExchange::preflight() const {
  const State& s = *state_;
  if (s.parser->get().method() != http::verb::options) return std::nullopt;
  if (!s.origins->is_guest(s.field(http::field::origin), s.field(http::field::host)) ||
      s.field(http::field::access_control_request_method).empty())
    return std::nullopt;
  HttpResponse response;
  response.status = 204;
  response.extra_headers =
      "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
      "Access-Control-Allow-Headers: Authorization, Content-Type\r\nAccess-Control-Max-Age: 600\r\n";
  return response;
}

HttpRequest HttpExchange::request_so_far() const {
  return state_->header();
}
const HttpRequest& HttpExchange::request() const {
  return state_->request;
}
const HttpResponse& HttpExchange::refusal() const {
  return state_->refusal;
}
bool HttpExchange::keep_alive() const {
  return state_->parser->is_done() && state_->parser->get().keep_alive();
}
std::string HttpExchange::take_rest() {
  std::string rest = state_->pending.substr(state_->parsed);
  state_->pending.clear();
  state_->parsed = 0;
  return rest;
}
void HttpExchange::next() {
  state_->start();
}

bool HttpExchange::wants_websocket() const {
  const auto& message = state_->parser->get();
  return http::token_list{message[http::field::upgrade]}.exists("websocket");
}

namespace {

// Of all fields of the name, which mean the same as one with commas.
std::string all_of(const http::fields& fields, http::field name) {
  std::string together;
  const auto range = fields.equal_range(name);
  for (auto field = range.first; field != range.second; ++field)
    together += (together.empty() ? "" : ",") + std::string(view(field->value()));
  return together;
}

}  // namespace

HttpExchange::Upgrade HttpExchange::upgrade(bool compression) const {
  const auto& message = state_->parser->get();
  const auto refuse = [&](unsigned status, ErrorCode code, const std::string& detail) {
    return Upgrade{response(refusal_of(status, code, detail), false), {}, proto::ws::Window::none};
  };
  const std::string_view target = view(message.target());
  if (target.substr(0, target.find('?')) != kPath)
    return refuse(404, ErrorCode::not_found, "the WebSocket is at /v1/ws");
  const std::string_view key = view(message[http::field::sec_websocket_key]);
  if (message.method() != http::verb::get || message.version() < 11 || key.empty() ||
      !http::token_list{message[http::field::connection]}.exists("upgrade"))
    return refuse(400, ErrorCode::bad_message,
                  "a WebSocket handshake is a GET with Connection: Upgrade and Sec-WebSocket-Key");
  if (view(message[http::field::sec_websocket_version]) != "13") {
    HttpResponse wrong =
        refusal_of(426, ErrorCode::unsupported, "this server speaks version 13 of the WebSocket protocol");
    wrong.extra_headers = "Sec-WebSocket-Version: 13\r\n";
    return {response(wrong, false), {}, proto::ws::Window::none};
  }
  // The first of the client's wishes that we know; without a wish: JSON.
  const auto wishes = message[http::field::sec_websocket_protocol];
  std::string_view chosen;
  for (const auto& wish : http::token_list{wishes}) {
    if (chosen.empty() && (view(wish) == kBinary || view(wish) == kJson))
      chosen = view(wish) == kBinary ? kBinary : kJson;
  }
  if (chosen.empty() && !wishes.empty())
    return refuse(400, ErrorCode::unsupported, "the subprotocols are terrazzo.v1.flatbuffers and terrazzo.v1.json");
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
      accept_key(key) + "\r\n";
  if (!chosen.empty()) text += "Sec-WebSocket-Protocol: " + std::string(chosen) + "\r\n";
  const proto::Form form = chosen == kBinary ? proto::Form::binary : proto::Form::json;
  // What is binary hardly becomes smaller.
  const bool may = compression && form == proto::Form::json;
  const auto agreed =
      may ? proto::ws::agree_on_deflate(all_of(message, http::field::sec_websocket_extensions)) : std::nullopt;
  if (agreed) text += "Sec-WebSocket-Extensions: " + agreed->answer + "\r\n";
  return {text + "\r\n", form, agreed ? agreed->window : proto::ws::Window::none};
}

std::string HttpExchange::response(const HttpResponse& response, bool stays) const {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " +
                     std::string(view(http::obsolete_reason(http::int_to_status(response.status)))) + "\r\n";
  if (response.status != 204)  // RFC 9110, 8.6
    text += "Content-Type: " + response.content_type + "\r\nContent-Length: " + std::to_string(response.body.size()) +
            "\r\n";
  text += stays ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  text += state_->for_guest() + response.extra_headers + "\r\n";
  const bool head = state_->parser->is_done() && state_->parser->get().method() == http::verb::head;
  return head ? text : text + response.body;
}

}  // namespace terrazzo::net

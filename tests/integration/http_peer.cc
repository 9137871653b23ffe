#include "http_peer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <sstream>

namespace terrazzo::integration {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http_ns = boost::beast::http;
constexpr auto kPatience = std::chrono::seconds(10);

asio::ip::tcp::endpoint endpoint(std::uint16_t port) {
  return {asio::ip::address_v4::loopback(), port};
}

}  // namespace

HttpAnswer http(std::uint16_t port, std::string_view method, const std::string& target, const std::string& body,
                const std::string& authorization) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  beast::error_code error;
  stream.connect(endpoint(port), error);
  if (error) return {};
  http_ns::request<http_ns::string_body> request(http_ns::string_to_verb({method.data(), method.size()}), target, 11);
  request.set(http_ns::field::host, "127.0.0.1");
  request.set(http_ns::field::connection, "close");
  if (!authorization.empty()) request.set(http_ns::field::authorization, authorization);
  request.body() = body;
  request.prepare_payload();
  http_ns::write(stream, request, error);
  beast::flat_buffer buffer;
  http_ns::response_parser<http_ns::string_body> parser;
  parser.body_limit(boost::none);
  http_ns::read(stream, buffer, parser, error);
  // A connection that ends without an answer is no answer, whatever an empty message says.
  if ((error && error != http_ns::error::end_of_stream) || !parser.is_header_done()) return {};
  return {parser.get().result_int(), parser.get().body()};
}

std::string make_world_json(const std::string& name, std::uint32_t tiles, const std::optional<std::string>& bounds) {
  std::string json = R"({"name":")" + name + R"(","tile_width":16,"tile_height":16,)";
  if (bounds) json += R"("bounds":)" + *bounds + ",";
  json += R"("layers":[{"id":1,"kind":"tile","name":"ground"},{"id":2,"kind":"object","name":"things"}],)";
  json += R"("tilesets":[{"first_tile":1,"name":"t","tile_width":16,"tile_height":16,"columns":10,"tile_count":)" +
          std::to_string(tiles) + "}]}";
  return json;
}

double metric(std::uint16_t port, const std::string& name) {
  std::istringstream lines(http(port, "GET", "/metrics").body);
  double sum = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + "{") || line.starts_with(name + " ")) sum += std::stod(line.substr(line.rfind(' ')));
  return sum;
}

void make_world(std::uint16_t port, const std::string& name, std::uint32_t tiles, std::optional<std::string> bounds) {
  const HttpAnswer answer = http(port, "POST", "/v1/worlds", make_world_json(name, tiles, bounds));
  ASSERT_EQ(answer.status, 201u) << answer.body;
}

struct WebSocketPeer::State {
  asio::io_context io;
  beast::websocket::stream<beast::tcp_stream> stream{io};
  bool open = false;

  template <class Start>
  bool run(Start&& start) {
    bool ok = false;
    start([&](const beast::error_code& error, auto&&...) { ok = !error; });
    io.restart();
    io.run_for(kPatience);
    if (!io.stopped()) {
      beast::get_lowest_layer(stream).cancel();
      io.run();
    }
    return ok;
  }
};

WebSocketPeer::WebSocketPeer(std::uint16_t port, const std::string& protocol) : state_(new State) {
  beast::error_code error;
  beast::get_lowest_layer(state_->stream).connect(endpoint(port), error);
  if (!protocol.empty()) {
    state_->stream.set_option(beast::websocket::stream_base::decorator([&](beast::websocket::request_type& request) {
      request.set(http_ns::field::sec_websocket_protocol, protocol);
    }));
  }
  state_->stream.read_message_max(256u << 20);
  state_->open = state_->run([&](auto done) { state_->stream.async_handshake("127.0.0.1", "/v1/ws", done); });
  EXPECT_TRUE(state_->open) << "the WebSocket handshake failed";
}
WebSocketPeer::~WebSocketPeer() = default;
WebSocketPeer::WebSocketPeer(WebSocketPeer&&) noexcept = default;

bool WebSocketPeer::send_text(const std::string& text) {
  state_->stream.text(true);
  return state_->run([&](auto done) { state_->stream.async_write(asio::buffer(text), done); });
}

bool WebSocketPeer::send_binary(const std::string& bytes) {
  state_->stream.binary(true);
  return state_->run([&](auto done) { state_->stream.async_write(asio::buffer(bytes), done); });
}

bool WebSocketPeer::send_raw(const std::string& bytes) {
  beast::error_code error;
  asio::write(beast::get_lowest_layer(state_->stream).socket(), asio::buffer(bytes), error);
  return !error;
}

std::optional<std::string> WebSocketPeer::read() {
  beast::flat_buffer buffer;
  if (!state_->run([&](auto done) { state_->stream.async_read(buffer, done); })) return std::nullopt;
  return beast::buffers_to_string(buffer.data());
}

std::optional<std::string> WebSocketPeer::read_until(std::string_view text) {
  while (std::optional<std::string> message = read())
    if (message->find(text) != std::string::npos) return message;
  return std::nullopt;
}

std::uint16_t WebSocketPeer::close_code() {
  while (read()) {
  }
  return state_->stream.reason().code;
}

std::string WebSocketPeer::close_reason() const {
  return std::string(state_->stream.reason().reason.c_str());
}

}  // namespace terrazzo::integration

#include "tests/net/beast_peer.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

namespace terrazzo::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

}  // namespace

struct BeastPeer::State {
  asio::io_context io;
  websocket::stream<asio::ip::tcp::socket> stream{io};
  websocket::response_type answer;
  std::optional<std::string> pong;
  bool open = false;
};

BeastPeer::BeastPeer(std::uint16_t port, const std::string& protocol) : state_(new State) {
  connect(port, protocol);
}

BeastPeer::BeastPeer(std::uint16_t port, const std::string& protocol, const Compression& compression)
    : state_(new State) {
  websocket::permessage_deflate wish;
  wish.client_enable = true;
  wish.server_max_window_bits = compression.server_bits;
  wish.client_max_window_bits = compression.client_bits;
  state_->stream.set_option(wish);
  connect(port, protocol);
}

void BeastPeer::connect(std::uint16_t port, const std::string& protocol) {
  State& s = *state_;
  beast::error_code error;
  s.stream.next_layer().connect({asio::ip::address_v4::loopback(), port}, error);
  if (error) return;
  s.stream.next_layer().set_option(asio::ip::tcp::no_delay(true), error);
  s.stream.read_message_max(64u << 20);
  s.stream.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
    if (!protocol.empty()) request.set(beast::http::field::sec_websocket_protocol, protocol);
  }));
  s.stream.control_callback([&s](websocket::frame_type kind, beast::string_view payload) {
    if (kind == websocket::frame_type::pong) s.pong = std::string(payload.data(), payload.size());
  });
  s.stream.handshake(s.answer, "127.0.0.1", "/v1/ws", error);
  s.open = !error;
}
BeastPeer::~BeastPeer() = default;
BeastPeer::BeastPeer(BeastPeer&&) noexcept = default;

bool BeastPeer::open() const {
  return state_->open;
}
unsigned BeastPeer::status() const {
  return state_->answer.result_int();
}
std::string BeastPeer::protocol() const {
  const auto value = state_->answer[beast::http::field::sec_websocket_protocol];
  return {value.data(), value.size()};
}

std::string BeastPeer::extensions() const {
  const auto value = state_->answer[beast::http::field::sec_websocket_extensions];
  return {value.data(), value.size()};
}

bool BeastPeer::send(const std::string& payload, bool text, std::size_t fragment_bytes) {
  beast::error_code error;
  state_->stream.text(text);
  state_->stream.auto_fragment(false);
  if (fragment_bytes == 0) {
    state_->stream.write(asio::buffer(payload), error);
    return !error;
  }
  std::size_t at = 0;
  do {
    const std::size_t count = std::min(fragment_bytes, payload.size() - at);
    state_->stream.write_some(at + count == payload.size(), asio::buffer(payload.data() + at, count), error);
    at += count;
  } while (!error && at < payload.size());
  return !error;
}

bool BeastPeer::ping(const std::string& payload) {
  beast::error_code error;
  state_->stream.ping(websocket::ping_data(payload.data(), payload.size()), error);
  return !error;
}
std::optional<std::string> BeastPeer::pong() const {
  return state_->pong;
}

std::optional<std::string> BeastPeer::read() {
  beast::flat_buffer buffer;
  beast::error_code error;
  state_->stream.read(buffer, error);
  if (error) return std::nullopt;
  return beast::buffers_to_string(buffer.data());
}
bool BeastPeer::read_was_text() const {
  return state_->stream.got_text();
}

bool BeastPeer::close(std::uint16_t code, const std::string& reason) {
  beast::error_code error;
  websocket::close_reason why(code);
  why.reason.assign(reason.data(), reason.size());
  state_->stream.close(why, error);
  return !error;
}
std::uint16_t BeastPeer::close_code() const {
  return state_->stream.reason().code;
}
std::string BeastPeer::close_reason() const {
  return {state_->stream.reason().reason.data(), state_->stream.reason().reason.size()};
}

}  // namespace terrazzo::net

#include "tests/sim/web_peer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace terrazzo::sim {
namespace {

namespace ws = proto::ws;

std::string request(proto::Form form) {
  return std::string(
             "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Sec-WebSocket-Protocol: terrazzo.v1.") +
         (form == proto::Form::binary ? "flatbuffers" : "json") + "\r\n\r\n";
}

}  // namespace

WebPeer::WebPeer(Machine& machine, Network& network, proto::Form form, Events events)
    : machine_(machine), network_(network), random_(machine.random.split()), form_(form), events_(std::move(events)) {}

WebPeer::~WebPeer() {
  vanish();
}

void WebPeer::connect() {
  TZ_ASSERT(link_ == 0);
  head_.clear();
  stream_.clear();
  open_ = false;
  link_ = network_.dial(*this);
}

void WebPeer::vanish() {
  if (const Network::Link link = std::exchange(link_, 0)) network_.close(link);
  open_ = false;
}

void WebPeer::drop() {
  if (link_ == 0) return;
  vanish();
  events_.closed(0, {});
}

void WebPeer::on_connected() {
  const std::string text = request(form_);
  network_.send(link_, std::as_bytes(std::span(text)));
}

void WebPeer::on_lost() {
  link_ = 0;
  open_ = false;
  events_.closed(0, {});
}

void WebPeer::send(std::span<const std::byte> payload) {
  if (open_) send_frame(form_ == proto::Form::json ? ws::Opcode::text : ws::Opcode::binary, payload);
}

// Masked, as clients' frames are.
void WebPeer::send_frame(ws::Opcode opcode, std::span<const std::byte> payload) {
  frame_.clear();
  ws::append_frame_header(opcode, payload.size(), frame_);
  frame_[1] |= std::byte{0x80};
  std::array<std::byte, 4> mask{};
  for (std::byte& byte : mask) byte = static_cast<std::byte>(random_.next());
  frame_.insert(frame_.end(), mask.begin(), mask.end());
  const std::size_t at = frame_.size();
  frame_.resize(at + payload.size());
  if (!payload.empty()) ws::unmask(payload, frame_.data() + at, mask, 0);
  network_.send(link_, frame_);
}

void WebPeer::on_bytes(std::span<const std::byte> bytes) {
  const Network::Link link = link_;
  if (!open_) {
    head_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    if (!head_.starts_with("HTTP/1.1 101")) return drop();
    const auto rest = std::as_bytes(std::span(head_)).subspan(end + 4);
    stream_.assign(rest.begin(), rest.end());
    open_ = true;
    events_.open();
  } else {
    stream_.insert(stream_.end(), bytes.begin(), bytes.end());
  }
  if (link_ != link) return;
  take_frames();
  if (link_ == link && events_.room) events_.room();
}

void WebPeer::take_frames() {
  const Network::Link link = link_;
  std::size_t at = 0;
  while (stream_.size() - at >= 2) {
    const auto rest = std::span<const std::byte>(stream_).subspan(at);
    const std::size_t head = ws::header_bytes(rest);
    if (rest.size() < head) break;
    const ws::FrameHeader header = ws::parse_header(rest.first(head));
    if (rest.size() < head + header.payload_bytes) break;
    const auto size = static_cast<std::size_t>(header.payload_bytes);
    at += head + size;
    aligned_.resize(size / 8 + 1);
    if (size != 0) std::memcpy(aligned_.data(), rest.data() + head, size);
    const std::span<const std::byte> payload(reinterpret_cast<const std::byte*>(aligned_.data()), size);
    switch (static_cast<ws::Opcode>(header.opcode)) {
      case ws::Opcode::ping:
        send_frame(ws::Opcode::pong, payload);
        break;
      case ws::Opcode::close: {
        const std::uint16_t code =
            size < 2
                ? 1005
                : static_cast<std::uint16_t>(std::to_integer<int>(payload[0]) << 8 | std::to_integer<int>(payload[1]));
        send_frame(ws::Opcode::close, payload.first(std::min<std::size_t>(size, 2)));
        return finish(code,
                      size < 3 ? std::string() : std::string(reinterpret_cast<const char*>(&payload[2]), size - 2));
      }
      case ws::Opcode::text:
      case ws::Opcode::binary:
        events_.message(payload);
        break;
      default:
        break;
    }
    if (link_ != link) return;  // dropped meanwhile, and perhaps dialled anew
  }
  stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(at));
}

void WebPeer::finish(std::uint16_t code, std::string reason) {
  vanish();
  events_.closed(code, std::move(reason));
}

}  // namespace terrazzo::sim

#include "proto/ws/message_assembler.h"

#include <algorithm>

#include "base/assert.h"
#include "proto/wire/limits.h"

namespace terrazzo::proto::ws {
namespace {

// Memory that a message left behind and that is kept for the next one of any connection; more is given back.
constexpr std::size_t kKeptBytes = 64 * 1024;
// Likewise of what a compressed message became.
constexpr std::size_t kExpandedBytesKept = 1 << 20;
constexpr std::uint8_t kCompressedBit = 4;  // RSV1 of FrameHeader::reserved_bits

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

MessageAssembler::MessageAssembler(Form form, std::size_t message_bytes_max, ByteBuffer* spare, Inflater* inflater)
    : kind_(form == Form::json ? Opcode::text : Opcode::binary),
      message_bytes_max_(message_bytes_max),
      spare_(spare),
      inflater_(inflater) {}

void MessageAssembler::borrow() {
  if (spare_ != nullptr && message_.capacity() == 0) message_.swap(*spare_);
}

void MessageAssembler::give_back() {
  message_.clear();
  // Somebody else's may be there: who borrowed it had to make another one.
  if (spare_ != nullptr && message_.capacity() <= kKeptBytes && message_.capacity() > spare_->capacity())
    message_.swap(*spare_);
  if (message_.capacity() != 0) ByteBuffer().swap(message_);
}

bool MessageAssembler::violate(std::uint16_t code, std::string_view why, AssemblerEvents& events) {
  over_ = true;
  events.violation(code, why);
  return false;
}

bool MessageAssembler::feed(std::span<const std::byte> bytes, AssemblerEvents& events) {
  while (!over_ && !bytes.empty()) {
    if (!in_frame_) {
      const std::size_t wanted = header_have_ < 2 ? 2 : header_bytes({header_bytes_.data(), header_have_});
      const std::size_t count = std::min(wanted - header_have_, bytes.size());
      std::copy_n(bytes.begin(), count, header_bytes_.begin() + static_cast<std::ptrdiff_t>(header_have_));
      header_have_ += count;
      bytes = bytes.subspan(count);
      if (header_have_ < 2 || header_have_ < header_bytes({header_bytes_.data(), header_have_})) continue;
      header_ = parse_header({header_bytes_.data(), header_have_});
      if (!begin_frame(events)) return false;
      continue;
    }
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(header_.payload_bytes - frame_have_, bytes.size()));
    std::byte* to = nullptr;
    if (is_control(static_cast<Opcode>(header_.opcode))) {
      to = control_->data() + frame_have_;
    } else {
      message_.resize(message_.size() + count);
      to = message_.data() + message_.size() - count;
    }
    unmask(bytes.first(count), to, header_.mask, frame_have_ % 4);
    frame_have_ += count;
    bytes = bytes.subspan(count);
    if (frame_have_ == header_.payload_bytes && !end_frame(events)) return false;
  }
  return !over_;
}

bool MessageAssembler::begin_frame(AssemblerEvents& events) {
  const auto opcode = static_cast<Opcode>(header_.opcode);
  const bool begins = opcode == Opcode::text || opcode == Opcode::binary;
  // RFC 7692, 6.1: the first frame of a message says that all of it is compressed.
  if (header_.reserved_bits != 0 && !(header_.reserved_bits == kCompressedBit && begins && inflater_ != nullptr))
    return violate(kCloseProtocolError, "reserved bits are set that no extension was agreed for", events);
  if (header_.opcode > 10 || (header_.opcode > 2 && header_.opcode < 8))
    return violate(kCloseProtocolError, "unknown opcode", events);
  if (!header_.masked) return violate(kCloseProtocolError, "frames of a client are masked", events);
  if (!header_.minimal || header_.payload_bytes >> 63 != 0)
    return violate(kCloseProtocolError, "the length is not in its shortest form", events);
  if (is_control(opcode)) {
    if (!header_.fin) return violate(kCloseProtocolError, "control frames are not fragmented", events);
    if (header_.payload_bytes > kControlBytesMax)
      return violate(kCloseProtocolError, "control frames carry at most 125 bytes", events);
    control_ = std::make_unique<Control>();
  } else {
    if (opcode == Opcode::continuation && !in_message_)
      return violate(kCloseProtocolError, "there is nothing to continue", events);
    if (opcode != Opcode::continuation && in_message_)
      return violate(kCloseProtocolError, "the message before is not finished", events);
    if (opcode != Opcode::continuation && opcode != kind_)
      return violate(
          kCloseProtocolError,
          kind_ == Opcode::text ? "this subprotocol has text messages" : "this subprotocol has binary messages",
          events);
    if (header_.payload_bytes > message_bytes_max_ || message_.size() + header_.payload_bytes > message_bytes_max_)
      return violate(kCloseTooBig, "too_large", events);
    if (begins) compressed_ = header_.reserved_bits != 0;
    in_message_ = true;
    borrow();
    if (header_.fin) message_.reserve(message_.size() + static_cast<std::size_t>(header_.payload_bytes));
  }
  in_frame_ = true;
  frame_have_ = 0;
  return header_.payload_bytes != 0 || end_frame(events);
}

bool MessageAssembler::end_frame(AssemblerEvents& events) {
  in_frame_ = false;
  header_have_ = 0;
  if (!is_control(static_cast<Opcode>(header_.opcode))) return !header_.fin || end_message(events);
  const std::unique_ptr<Control> bytes = std::move(control_);
  const std::span<const std::byte> payload(bytes->data(), static_cast<std::size_t>(header_.payload_bytes));
  if (static_cast<Opcode>(header_.opcode) == Opcode::close) return end_close(payload, events);
  if (static_cast<Opcode>(header_.opcode) == Opcode::ping) {
    events.ping(payload);
  } else {
    events.pong(payload);
  }
  return true;
}

bool MessageAssembler::end_message(AssemblerEvents& events) {
  in_message_ = false;
  bool goes_on = true;
  if (!compressed_) {
    goes_on = deliver(message_, events);
  } else {
    ByteBuffer& expanded = inflater_->room();
    switch (inflater_->expand(message_, message_bytes_max_, expanded)) {
      case Inflater::Outcome::done:
        goes_on = deliver(expanded, events);
        break;
      case Inflater::Outcome::too_large:
        goes_on = violate(kCloseTooBig, "too_large", events);
        break;
      case Inflater::Outcome::damaged:
        goes_on = violate(kCloseInvalidPayload, "the compressed message is damaged", events);
        break;
    }
    if (expanded.capacity() > kExpandedBytesKept) ByteBuffer().swap(expanded);
  }
  if (goes_on) give_back();
  return goes_on;
}

bool MessageAssembler::deliver(std::span<const std::byte> payload, AssemblerEvents& events) {
  if (kind_ == Opcode::text && !valid_utf8(text_of(payload)))
    return violate(kCloseInvalidPayload, "text is not UTF-8", events);
  TZ_ASSERT(reinterpret_cast<std::uintptr_t>(payload.data()) % 8 == 0);
  events.message(payload);
  return true;
}

bool MessageAssembler::end_close(std::span<const std::byte> payload, AssemblerEvents& events) {
  if (payload.empty()) {
    over_ = true;
    events.closed(kCloseNoStatus, {});
    return false;
  }
  if (payload.size() == 1)
    return violate(kCloseProtocolError, "a close frame has no payload or a code of two bytes", events);
  const auto code =
      static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8 | std::to_integer<unsigned>(payload[1]));
  if (!valid_close_code(code))
    return violate(kCloseProtocolError, "the close code is not one that may be sent", events);
  const std::string_view reason = text_of(payload.subspan(2));
  if (!valid_utf8(reason)) return violate(kCloseInvalidPayload, "the close reason is not UTF-8", events);
  over_ = true;
  events.closed(code, reason);
  return false;
}

}  // namespace terrazzo::proto::ws

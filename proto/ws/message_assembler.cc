#include "proto/ws/message_assembler.h"

#include <algorithm>

#include "base/assert.h"
#include "proto/wire/limits.h"

namespace terrazzo::proto::ws {
namespace {

// Memory that a message left behind and that is kept for the next one; more is given back.
constexpr std::size_t kKeptBytes = 64 * 1024;
constexpr std::uint8_t kCompressedBit = 4;  // RSV1 of FrameHeader::reserved_bits

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void MessageAssembler::restart(const Rules& rules) {
  TZ_ASSERT(idle());
  rules_ = rules;
}

void MessageAssembler::forget_message() {
  message_.clear();
  if (message_.capacity() > kKeptBytes) ByteBuffer().swap(message_);
}

bool MessageAssembler::violate(std::uint16_t code, std::string_view why, AssemblerEvents& events) {
  over_ = true;
  events.violation(code, why);
  return false;
}

std::size_t MessageAssembler::feed(std::span<const std::byte> bytes, AssemblerEvents& events) {
  const std::size_t given = bytes.size();
  while (!over_ && !compressed_whole_ && !bytes.empty()) {
    if (!in_frame_) {
      const std::size_t wanted = header_have_ < 2 ? 2 : header_bytes({header_bytes_.data(), header_have_});
      const std::size_t count = std::min(wanted - header_have_, bytes.size());
      std::copy_n(bytes.begin(), count, header_bytes_.begin() + static_cast<std::ptrdiff_t>(header_have_));
      header_have_ += count;
      bytes = bytes.subspan(count);
      if (header_have_ < 2 || header_have_ < header_bytes({header_bytes_.data(), header_have_})) continue;
      header_ = parse_header({header_bytes_.data(), header_have_});
      begin_frame(events);
      continue;
    }
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(header_.payload_bytes - frame_have_, bytes.size()));
    std::byte* to = nullptr;
    if (is_control(static_cast<Opcode>(header_.opcode))) {
      to = control_.data() + frame_have_;
    } else {
      // It grows as bytes come, whatever a header promises: memory is for those who send.
      message_.resize(message_.size() + count);
      to = message_.data() + message_.size() - count;
    }
    unmask(bytes.first(count), to, header_.mask, frame_have_ % 4);
    frame_have_ += count;
    bytes = bytes.subspan(count);
    if (frame_have_ == header_.payload_bytes) end_frame(events);
  }
  return given - bytes.size();
}

bool MessageAssembler::begin_frame(AssemblerEvents& events) {
  const auto opcode = static_cast<Opcode>(header_.opcode);
  const bool begins = opcode == Opcode::text || opcode == Opcode::binary;
  // RFC 7692, 6.1: the first frame of a message says that all of it is compressed.
  if (header_.reserved_bits != 0 && !(header_.reserved_bits == kCompressedBit && begins && rules_.compression))
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
  } else {
    if (opcode == Opcode::continuation && !in_message_)
      return violate(kCloseProtocolError, "there is nothing to continue", events);
    if (opcode != Opcode::continuation && in_message_)
      return violate(kCloseProtocolError, "the message before is not finished", events);
    if (opcode != Opcode::continuation && opcode != opcode_of(rules_.form))
      return violate(
          kCloseProtocolError,
          rules_.form == Form::json ? "this subprotocol has text messages" : "this subprotocol has binary messages",
          events);
    if (header_.payload_bytes > rules_.message_bytes_max ||
        message_.size() + header_.payload_bytes > rules_.message_bytes_max)
      return violate(kCloseTooBig, "too_large", events);
    if (begins) compressed_ = header_.reserved_bits != 0;
    in_message_ = true;
  }
  in_frame_ = true;
  frame_have_ = 0;
  return header_.payload_bytes != 0 || end_frame(events);
}

bool MessageAssembler::end_frame(AssemblerEvents& events) {
  in_frame_ = false;
  header_have_ = 0;
  if (!is_control(static_cast<Opcode>(header_.opcode))) return !header_.fin || end_message(events);
  const std::span<const std::byte> payload(control_.data(), static_cast<std::size_t>(header_.payload_bytes));
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
  if (compressed_) {
    compressed_whole_ = true;
    return true;
  }
  const bool goes_on = deliver(message_, events);
  if (goes_on) forget_message();
  return goes_on;
}

void MessageAssembler::expanded(Inflater::Outcome outcome, std::span<const std::byte> payload,
                                AssemblerEvents& events) {
  TZ_ASSERT(compressed_whole_ && outcome != Inflater::Outcome::more);
  drop_compressed();
  switch (outcome) {
    case Inflater::Outcome::too_large:
      violate(kCloseTooBig, "too_large", events);
      return;
    case Inflater::Outcome::damaged:
      violate(kCloseInvalidPayload, "the compressed message is damaged", events);
      return;
    default:
      deliver(payload, events);
  }
}

void MessageAssembler::drop_compressed() {
  compressed_whole_ = false;
  forget_message();
}

bool MessageAssembler::deliver(std::span<const std::byte> payload, AssemblerEvents& events) {
  if (rules_.form == Form::json && !valid_utf8(text_of(payload)))
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

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proto/ws/deflate.h"
#include "proto/ws/frame_codec.h"

namespace terrazzo::proto::ws {

// What a connection's bytes turned out to be. After closed() and violation() nothing more comes.
class AssemblerEvents {
 public:
  virtual ~AssemblerEvents() = default;
  // A whole message: 8-byte aligned, valid during the call; text is valid UTF-8.
  virtual void message(std::span<const std::byte> payload) = 0;
  virtual void ping(std::span<const std::byte> payload) = 0;
  virtual void pong(std::span<const std::byte> payload) = 0;
  // The peer's close frame; kCloseNoStatus: it gave no code.
  virtual void closed(std::uint16_t code, std::string_view reason) = 0;
  // The peer broke a rule; close the connection with this code.
  virtual void violation(std::uint16_t code, std::string_view why) = 0;
};

// Makes messages of the bytes a client sends, however they are split: unmasks, puts fragments
// together, checks every rule of RFC 6455 section 5 that binds a client. One per connection; between messages it holds
// no memory but itself.
class MessageAssembler {
 public:
  // Only messages of this kind are accepted: text for JSON, binary for the other form. `spare`: memory that the
  // connections of one thread share, borrowed while a message comes in, so that a message needs no allocation and a
  // connection that waits keeps none; it outlives the assembler. `inflater`: where compression
  // was agreed (RFC 7692); likewise shared.
  MessageAssembler(Form form, std::size_t message_bytes_max, ByteBuffer* spare = nullptr, Inflater* inflater = nullptr);
  // False: the connection is over (closed() or violation() was called).
  bool feed(std::span<const std::byte> bytes, AssemblerEvents& events);
  std::size_t buffered_bytes() const { return message_.capacity(); }

 private:
  bool begin_frame(AssemblerEvents& events);
  bool end_frame(AssemblerEvents& events);
  bool end_message(AssemblerEvents& events);
  bool end_close(std::span<const std::byte> payload, AssemblerEvents& events);
  bool deliver(std::span<const std::byte> payload, AssemblerEvents& events);
  bool violate(std::uint16_t code, std::string_view why, AssemblerEvents& events);
  void borrow();
  void give_back();

  using Control = std::array<std::byte, kControlBytesMax>;

  const Opcode kind_;
  const std::size_t message_bytes_max_;
  ByteBuffer* const spare_;
  Inflater* const inflater_;
  std::array<std::byte, kHeaderBytesMax> header_bytes_{};
  std::size_t header_have_ = 0;
  FrameHeader header_;
  bool in_frame_ = false;
  std::uint64_t frame_have_ = 0;  // payload bytes of the current frame
  bool in_message_ = false;       // a first fragment came, the last has not
  bool compressed_ = false;       // the message is
  bool over_ = false;
  ByteBuffer message_;
  std::unique_ptr<Control> control_;  // while a control frame comes in
};

}  // namespace terrazzo::proto::ws

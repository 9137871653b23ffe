#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

// Makes messages of the bytes a client sends, however they are split: unmasks, puts fragments together, checks every
// rule of RFC 6455 section 5 that binds a client. Works for one connection from the first byte of a message to the end
// of it; between messages it knows nothing and may go on with any other (restart), so that connections that wait need
// none.
class MessageAssembler {
 public:
  struct Rules {
    Form form = Form::json;  // only messages of this kind are accepted: text for JSON, binary for the other form
    std::size_t message_bytes_max = 0;
    bool compression = false;  // it was agreed on (RFC 7692)
  };
  explicit MessageAssembler(const Rules& rules) : rules_(rules) {}
  // For another connection, where idle().
  void restart(const Rules& rules);
  // Of the messages whose end has not come.
  void set_message_bytes_max(std::size_t bytes) { rules_.message_bytes_max = bytes; }
  std::size_t message_bytes_max() const { return rules_.message_bytes_max; }

  // Returns how many it took: all bytes, or those up to the end of a compressed message, or of the connection.
  std::size_t feed(std::span<const std::byte> bytes, AssemblerEvents& events);
  // closed() or violation() was called.
  bool over() const { return over_; }
  // Nothing of a next frame or message has come.
  bool idle() const { return header_have_ == 0 && !in_message_ && !compressed_whole_ && !over_; }

  // A compressed message has come to its end: it is expanded outside, as it may take long, or dropped; nothing more is
  // fed before.
  bool holds_compressed() const { return compressed_whole_; }
  std::span<const std::byte> compressed_message() const { return message_; }
  // What became of it; `payload` where it is done.
  void expanded(Inflater::Outcome outcome, std::span<const std::byte> payload, AssemblerEvents& events);
  void drop_compressed();

  std::size_t buffered_bytes() const { return message_.capacity(); }

 private:
  bool begin_frame(AssemblerEvents& events);
  bool end_frame(AssemblerEvents& events);
  bool end_message(AssemblerEvents& events);
  bool end_close(std::span<const std::byte> payload, AssemblerEvents& events);
  bool deliver(std::span<const std::byte> payload, AssemblerEvents& events);
  bool violate(std::uint16_t code, std::string_view why, AssemblerEvents& events);
  void forget_message();

  Rules rules_;
  std::array<std::byte, kHeaderBytesMax> header_bytes_{};
  std::size_t header_have_ = 0;
  FrameHeader header_;
  bool in_frame_ = false;
  std::uint64_t frame_have_ = 0;  // payload bytes of the current frame
  bool in_message_ = false;       // a first fragment came, the last has not
  bool compressed_ = false;       // the message is
  bool compressed_whole_ = false;
  bool over_ = false;
  ByteBuffer message_;
  std::array<std::byte, kControlBytesMax> control_{};
};

}  // namespace terrazzo::proto::ws

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proto/codec.h"

// RFC 7692, permessage-deflate, without context takeover in either direction: every message is compressed by itself, so
// that one compressed frame serves all who can read it, and no connection keeps a window. Pure.
namespace terrazzo::proto::ws {

// Two windows serve everybody: the largest, and the smallest for clients that bound it (server_max_window_bits).
enum class Window : std::uint8_t { none, small, large };
inline constexpr int kSmallWindowBits = 9, kLargeWindowBits = 15;

// What is agreed with a client.
struct DeflateAgreement {
  Window window = Window::large;  // of what we send
  std::string answer;             // the value of our Sec-WebSocket-Extensions
};
// The first offer in the client's Sec-WebSocket-Extensions (all its fields, joined by commas) that can be accepted;
// nothing where there is none, and no answer is due.
std::optional<DeflateAgreement> agree_on_deflate(std::string_view extensions);

// Compresses messages. One per core and window; some 40 or 100 KiB of memory.
class Deflater {
 public:
  explicit Deflater(Window window);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends what `frames` (whole unmasked frames of ours, one after another) become: text messages compressed where
  // that makes them smaller, everything else as it is.
  void append_compressed(std::span<const std::byte> frames, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Expands messages, at once or bit by bit; some 40 KiB of memory.
class Inflater {
 public:
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  enum class Outcome : std::uint8_t { more, done, damaged, too_large };
  // Begins with `message`, the payload of a compressed message, its fragments joined, which stays where it is until the
  // end. Whatever was begun before is forgotten.
  void begin(std::span<const std::byte> message, std::size_t bytes_max);
  // Goes on for so much work, counted down: what comes out, or four times what goes in, as a header of a few bytes
  // costs tables to be built. more: it is not done.
  Outcome go_on(std::size_t& work);
  // After `done`: what the message became, until the next begin(). It never takes more memory than `bytes_max` and two
  // pieces of 16 KiB, however much the message would become.
  std::span<const std::byte> expanded() const { return out_; }
  // Keeps no more memory for the next message than a usual one takes.
  void trim();

  // All of it at once. Replaces `out`.
  Outcome expand(std::span<const std::byte> message, std::size_t bytes_max, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
  ByteBuffer out_;
};

}  // namespace terrazzo::proto::ws

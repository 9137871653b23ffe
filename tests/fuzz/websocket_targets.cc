#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "proto/ws/deflate.h"
#include "proto/ws/message_assembler.h"
#include "tests/fuzz/targets.h"

namespace terrazzo::fuzz {
namespace {

namespace ws = proto::ws;

constexpr std::size_t kMessageBytesMax = 4096;

// What came, in words that do not depend on how the bytes were cut.
class Transcript final : public ws::AssemblerEvents {
 public:
  void message(std::span<const std::byte> payload) override {
    TZ_ASSERT(payload.size() <= kMessageBytesMax);
    add('m', payload);
  }
  void ping(std::span<const std::byte> payload) override { add('p', payload); }
  void pong(std::span<const std::byte> payload) override { add('q', payload); }
  void closed(std::uint16_t code, std::string_view reason) override { end("closed", code, reason); }
  void violation(std::uint16_t code, std::string_view why) override { end("violation", code, why); }
  std::string words;

 private:
  void add(char kind, std::span<const std::byte> payload) {
    TZ_ASSERT(!over_);
    words += kind;
    words.append(reinterpret_cast<const char*>(payload.data()), payload.size());
  }
  void end(const char* what, std::uint16_t code, std::string_view why) {
    TZ_ASSERT(!over_);
    over_ = true;
    words += what + std::to_string(code) + std::string(why);
  }
  bool over_ = false;
};

// As a connection does it: what is compressed is expanded before anything behind it is looked at, `work` at a time.
void feed(ws::MessageAssembler& assembler, ws::Inflater& inflater, std::size_t work_at_a_time,
          std::span<const std::byte> bytes, Transcript& events) {
  while (!bytes.empty() && !assembler.over()) {
    bytes = bytes.subspan(assembler.feed(bytes, events));
    if (!assembler.holds_compressed()) continue;
    inflater.begin(assembler.compressed_message(), assembler.message_bytes_max());
    ws::Inflater::Outcome outcome = ws::Inflater::Outcome::more;
    while (outcome == ws::Inflater::Outcome::more) {
      std::size_t work = work_at_a_time;
      outcome = inflater.go_on(work);
    }
    assembler.expanded(outcome, inflater.expanded(), events);
  }
}

// The first byte chooses the form, whether compression was agreed, and the size of the pieces.
void run_websocket(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const auto choice = std::to_integer<unsigned>(bytes[0]);
  bytes = bytes.subspan(1);
  const proto::Form form = (choice & 1) != 0 ? proto::Form::json : proto::Form::binary;
  const std::size_t piece = 1 + (choice >> 2);
  const ws::MessageAssembler::Rules rules{form, kMessageBytesMax, (choice & 2) != 0};
  ws::Inflater inflater;
  Transcript whole, pieces;
  ws::MessageAssembler at_once(rules), by_and_by(rules);
  feed(at_once, inflater, ~std::size_t{0}, bytes, whole);
  for (std::size_t at = 0; at < bytes.size() && !by_and_by.over(); at += piece)
    feed(by_and_by, inflater, piece, bytes.subspan(at, std::min(piece, bytes.size() - at)), pieces);
  TZ_ASSERT(whole.words == pieces.words);
}

std::string masked(unsigned first_byte, const std::string& payload) {
  std::string frame{static_cast<char>(first_byte), static_cast<char>(0x80 | payload.size())};
  frame += std::string("\x01\x02\x03\x04", 4);
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame += static_cast<char>(payload[i] ^ static_cast<char>(1 + i % 4));
  return frame;
}

std::vector<std::string> websocket_seeds() {
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);  // "Hello", compressed
  return {"\x03" + masked(0xC1, hello) + masked(0x89, "ping") + masked(0x88, "\x03\xe8"),
          "\x07" + masked(0x41, hello.substr(0, 3)) + masked(0x80, hello.substr(3)), "\x01" + masked(0x81, "{}"),
          std::string(1, '\0') + masked(0x82, "binary") + masked(0x02, "in ") + masked(0x80, "parts")};
}

}  // namespace

const Target kWebSocket{"web_socket", run_websocket, websocket_seeds};

}  // namespace terrazzo::fuzz

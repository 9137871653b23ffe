#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/assert.h"
#include "proto/codec.h"
#include "proto/ws/message_assembler.h"
#include "tests/proto/message_text.h"

// Bytes from outside, into everything that reads them: the codec in both forms and directions, the
// frame assembler whole and in pieces. Every field of what comes out is read, and what the codec
// took for good must survive being encoded again.
namespace terrazzo::proto {
namespace {

Result<std::span<const ClientMessage>> decode(const ClientMessage*, Form form, std::span<const std::byte> bytes,
                                              Arena& arena) {
  return decode_client_messages(form, bytes, arena);
}
Result<std::span<const ServerMessage>> decode(const ServerMessage*, Form form, std::span<const std::byte> bytes,
                                              Arena& arena) {
  return decode_server_messages(form, bytes, arena);
}

bool is_invalid(const ClientMessage& message) {
  return std::holds_alternative<Invalid>(message);
}
bool is_invalid(const ServerMessage&) {
  return false;
}

// A chunk's cells may be undecodable in binary: that is the reader's to find.
template <class Message>
void check(Form form, std::span<const std::byte> bytes) {
  Arena arena, again;
  Encoder encoder;
  const auto messages = decode(static_cast<const Message*>(nullptr), form, bytes, arena);
  if (!messages) return;
  for (const Message& message : *messages) {
    const std::string text = text_of(message);
    if (is_invalid(message)) continue;
    if constexpr (std::is_same_v<Message, ServerMessage>) {
      // Empty coded cells and an empty world are what no encoder is given.
      if (const auto* chunk = std::get_if<Chunk>(&message);
          chunk != nullptr && !chunk->fill && chunk->coded.empty() && chunk->cells.empty())
        continue;
      if (const auto* world = std::get_if<WorldInfo>(&message); world != nullptr && world->json.empty()) continue;
    }
    ByteBuffer encoded;
    encoder.append(form, message, encoded);
    const auto back = decode(static_cast<const Message*>(nullptr), form, encoded, again);
    TZ_ASSERT(back.ok() && back->size() == 1);
    TZ_ASSERT(text_of((*back)[0]) == text);
  }
}

class Reader : public ws::AssemblerEvents {
 public:
  explicit Reader(Form form) : form_(form) {}
  void message(std::span<const std::byte> payload) override {
    TZ_ASSERT(reinterpret_cast<std::uintptr_t>(payload.data()) % 8 == 0);
    total_ += payload.size();
    check<ClientMessage>(form_, payload);
  }
  void ping(std::span<const std::byte> payload) override { total_ += payload.size(); }
  void pong(std::span<const std::byte> payload) override { total_ += payload.size(); }
  void closed(std::uint16_t code, std::string_view reason) override { total_ += code + reason.size(); }
  void violation(std::uint16_t code, std::string_view) override { total_ += code; }
  std::size_t total() const { return total_; }

 private:
  Form form_;
  std::size_t total_ = 0;
};

void fuzz(std::span<const std::byte> bytes) {
  for (const Form form : {Form::binary, Form::json}) {
    check<ClientMessage>(form, bytes);
    check<ServerMessage>(form, bytes);
    Reader whole(form), pieces(form);
    ws::MessageAssembler at_once({form, 1 << 16}), by_piece({form, 1 << 16});
    at_once.feed(bytes, whole);
    for (std::size_t at = 0; at < bytes.size(); at += 7)
      by_piece.feed(bytes.subspan(at, std::min<std::size_t>(7, bytes.size() - at)), pieces);
    TZ_ASSERT(whole.total() == pieces.total());
  }
}

}  // namespace
}  // namespace terrazzo::proto

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own: aligned, and ended by a red zone.
  const auto exact = std::make_unique<std::byte[]>(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, exact.get());
  terrazzo::proto::fuzz({exact.get(), size});
  return 0;
}

#include "proto/codec.h"

#include "proto/wire/wire.h"

namespace terrazzo::proto {

Result<std::span<const ClientMessage>> decode_client_messages(Form form, std::span<const std::byte> bytes,
                                                              Arena& arena) {
  return form == Form::binary ? decode_client_binary(bytes, arena) : decode_client_json(bytes, arena);
}

Result<std::span<const ServerMessage>> decode_server_messages(Form form, std::span<const std::byte> bytes,
                                                              Arena& arena) {
  return form == Form::binary ? decode_server_binary(bytes, arena) : decode_server_json(bytes, arena);
}

struct Encoder::State {
  BinaryEncoder binary;
};

Encoder::Encoder() : state_(new State) {}
Encoder::~Encoder() = default;

void Encoder::append(Form form, const ClientMessage& message, ByteBuffer& out) {
  form == Form::binary ? state_->binary.append(message, out) : append_json(message, out);
}

void Encoder::append(Form form, const ServerMessage& message, ByteBuffer& out) {
  form == Form::binary ? state_->binary.append(message, out) : append_json(message, out);
}

}  // namespace terrazzo::proto

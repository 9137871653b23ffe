#pragma once

#include <span>

#include "proto/codec.h"

// The two forms behind codec.h.
namespace terrazzo::proto {

Result<std::span<const ClientMessage>> decode_client_binary(std::span<const std::byte> bytes, Arena& arena);
Result<std::span<const ServerMessage>> decode_server_binary(std::span<const std::byte> bytes, Arena& arena);
Result<std::span<const ClientMessage>> decode_client_json(std::span<const std::byte> bytes, Arena& arena);
Result<std::span<const ServerMessage>> decode_server_json(std::span<const std::byte> bytes, Arena& arena);

// Keeps its builder's memory between messages.
class BinaryEncoder {
 public:
  BinaryEncoder();
  ~BinaryEncoder();
  void append(const ClientMessage& message, ByteBuffer& out);
  void append(const ServerMessage& message, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void append_json(const ClientMessage& message, ByteBuffer& out);
void append_json(const ServerMessage& message, ByteBuffer& out);

}  // namespace terrazzo::proto

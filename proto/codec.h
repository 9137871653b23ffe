#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "proto/messages.h"

// Bytes of one WebSocket message ↔ messages. The only place where bytes from outside are verified: what comes out is
// within the schema, in bounds and of sane size, or an Invalid that says why not. Pure; no thread affinity.
namespace terrazzo::proto {

using ByteBuffer = std::vector<std::byte>;

// An error means that the whole message is not the form it claims to be (FlatBuffers verification, JSON syntax): the
// connection is closed with 1007. Views in the result point into `bytes` and `arena`; `bytes` must be 8-byte aligned in
// the binary form (the receive buffers are).
Result<std::span<const ClientMessage>> decode_client_messages(Form form, std::span<const std::byte> bytes,
                                                              Arena& arena);
Result<std::span<const ServerMessage>> decode_server_messages(Form form, std::span<const std::byte> bytes,
                                                              Arena& arena);

// Writes one complete WebSocket payload for one message; appends to `out`. Keeps its builder between calls, so one per
// core or client. Binary messages appended one after another are one valid payload; JSON messages are one payload each.
class Encoder {
 public:
  Encoder();
  ~Encoder();
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  void append(Form form, const ClientMessage& message, ByteBuffer& out);
  void append(Form form, const ServerMessage& message, ByteBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::proto

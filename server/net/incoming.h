#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proto/ws/deflate.h"
#include "proto/ws/message_assembler.h"

namespace terrazzo::net {

// What has come of a connection's messages and is not finished. A connection that waits has none: those of a core are
// used by whoever has something to say.
struct Incoming {
  explicit Incoming(const proto::ws::MessageAssembler::Rules& rules) : assembler(rules) {}

  proto::ws::MessageAssembler assembler;
  proto::ByteBuffer behind;                       // came behind a compressed message, which is to be expanded first
  std::size_t behind_at = 0;                      // taken of it
  std::unique_ptr<proto::ws::Inflater> inflater;  // while a long message is being expanded
  std::uint64_t since_ns = 0;
  std::size_t counted_bytes = 0;  // in NetworkCounters::unfinished_bytes

  std::size_t behind_bytes() const { return behind.size() - behind_at; }
  // Nothing is left of what came.
  bool finished() const { return assembler.idle() && behind_bytes() == 0; }
  std::size_t memory_bytes() const { return assembler.buffered_bytes() + behind.capacity(); }
};

}  // namespace terrazzo::net

#pragma once

#include <memory>
#include <span>

#include "base/shared_bytes.h"
#include "proto/codec.h"
#include "server/shard/interest.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

// One or more payloads, each a whole WebSocket message, become one run of unmasked frames: the same for every viewer.
void append_frame(proto::Form form, std::span<const std::byte> payload, proto::ByteBuffer& frames);
SharedBytes shared(std::span<const std::byte> bytes);

// Turns an applied edit into what its viewers get: encoded once per form that anybody reads.
class Fanout {
 public:
  explicit Fanout(proto::Encoder& encoder) : encoder_(&encoder) {}
  void use(proto::Encoder& encoder) { encoder_ = &encoder; }
  struct Cast {
    CoreMask cores = 0;  // none: nobody watches, no publication
    std::shared_ptr<const Publication> publication;
  };
  Cast cast(const ShardKey& shard, const proto::Applied& applied, const InterestIndex& interest);
  std::uint64_t encodings() const { return encodings_; }

 private:
  proto::Encoder* encoder_;
  proto::ByteBuffer payload_, frame_;  // scratch
  std::uint64_t encodings_ = 0;
};

}  // namespace terrazzo::shard

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
    SharedPublication publication;
  };
  Cast cast(const ShardKey& shard, const proto::Applied& applied, const InterestIndex& interest);
  // Of an edit of which there are states only; `touched` in chunks.
  static Cast cast_states(const ShardKey& shard, Lsn lsn, std::span<const map::Rect> touched,
                          const InterestIndex& interest);
  std::uint64_t encodings() const { return encodings_; }

 private:
  proto::Encoder* encoder_;
  // What is published is let go by other cores, or much later by slow connections. 464 bytes take an edit of some 20
  // cells in either form.
  static constexpr std::size_t kFrameBlockBytes = 512, kBlocksKept = 1024;
  BlockPool publications_{sizeof(Publication), kBlocksKept}, frames_{kFrameBlockBytes, kBlocksKept};
  proto::ByteBuffer payload_;  // scratch
  std::uint64_t encodings_ = 0;
};

}  // namespace terrazzo::shard

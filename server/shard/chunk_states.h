#pragma once

#include <cstdint>
#include <vector>

#include "base/shared_bytes.h"
#include "proto/codec.h"
#include "server/shard/encoded_chunks.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

namespace terrazzo::shard {

// Judges the revisions that a subscriber says it knows.
struct KnownRules {
  Incarnation current;
  // The LSN this run recovered: what clients saw of the run before, up to here, is still true. Older runs are not
  // remembered, so what clients know of them counts for nothing.
  Lsn recovered;

  bool believable(Incarnation incarnation, Lsn revision) const {
    if (incarnation.value == 0 || incarnation == current) return true;
    return incarnation.value + 1 == current.value && revision <= recovered;
  }
};

struct ChunkStates {
  std::vector<SharedBytes> frames;
  std::uint64_t chunks = 0;
};

// The states of the chunks that the subscriber lacks, in no order. an empty `store`: everything is empty.
ChunkStates encode_states(const storage::Head& store, const SubscribeRequest& request, const KnownRules& rules,
                          proto::Encoder& encoder, EncodedChunks& encoded);

// Those of the asked-for chunks that an edit from `since` on has touched, each once.
ChunkStates encode_changed(const storage::Head& store, const RefreshRequest& request, proto::Encoder& encoder,
                           EncodedChunks& encoded);

}  // namespace terrazzo::shard

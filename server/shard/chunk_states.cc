#include "server/shard/chunk_states.h"

#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/assert.h"
#include "base/canary.h"
#include "map/chunk_codec.h"
#include "proto/ws/frame_codec.h"
#include "server/shard/cells.h"
#include "server/shard/fanout.h"

namespace terrazzo::shard {
namespace {

// A frame that a home core can send without starving its other connections, and a client can decode in one go.
constexpr std::size_t kFrameBytes = 128 * 1024;

struct Known {
  bool believable = false;
  Lsn revision;
};

// Chunks this large go out as shared frames of their own; smaller ones are cheaper copied into a joint frame than sent
// and decoded one by one.
constexpr std::size_t kOwnFrameBytes = 2048;

class StateWriter {
 public:
  StateWriter(const ShardKey& shard, proto::Form form, proto::Encoder& encoder, EncodedChunks& encoded)
      : shard_(shard), form_(form), encoder_(encoder), encoded_(encoded) {}

  void write(map::LayerId layer, map::ChunkPos position, const storage::ChunkRead& read) {
    proto::Chunk chunk{
        .layer = layer, .chunk = position, .revision = read.revision, .fill = {}, .coded = {}, .cells = {}};
    ++states_.chunks;
    if (read.cells == nullptr) {
      chunk.fill = map::Cell{read.fill};
      encoder_.append(form_, chunk, payload_);
      return written();
    }
    const EncodedChunks::Key key{shard_, map::index_in_shard(position), layer, form_};
    SharedBytes bytes = encoded_.find(key, read.revision);
    if (!bytes) {
      bytes = encode(chunk, cells_of_page(read.cells));
      encoded_.insert(key, read.revision, bytes);
    }
    if (own_frame(bytes.size())) {
      states_.frames.push_back(std::move(bytes));
      return;
    }
    parts_bytes_ = aligned(parts_bytes_) + bytes.size();
    parts_.push_back(std::move(bytes));
    written();
  }
  ChunkStates finish() {
    end_frame();
    return std::move(states_);
  }

 private:
  // JSON messages are frames of their own in any case.
  bool own_frame(std::size_t bytes) const { return form_ == proto::Form::json || bytes >= kOwnFrameBytes; }
  // A whole frame where it is to be one, else only the message.
  SharedBytes encode(proto::Chunk& chunk, std::span<const map::Cell, map::kChunkCells> cells) {
    coded_.clear();
    message_.clear();
    if (form_ == proto::Form::json) {
      chunk.cells = cells;
    } else {
      map::encode_chunk(cells, coded_);
      chunk.coded = coded_;
    }
    encoder_.append(form_, chunk, message_);
    if (!own_frame(message_.size())) return shared(message_);
    coded_.clear();
    append_frame(form_, message_, coded_);
    return shared(coded_);
  }
  static constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }
  // Binary messages share a frame; each JSON message is one, and small ones share the bytes.
  void written() {
    if (form_ == proto::Form::json) {
      append_frame(form_, payload_, frames_);
      payload_.clear();
    }
    if (payload_.size() + parts_bytes_ >= kFrameBytes || frames_.size() >= kFrameBytes) end_frame();
  }
  void end_frame() {
    if (form_ == proto::Form::json) {
      if (!frames_.empty()) states_.frames.push_back(shared(frames_));
      frames_.clear();
      return;
    }
    const std::size_t payload_bytes = parts_.empty() ? payload_.size() : aligned(payload_.size()) + parts_bytes_;
    if (payload_bytes == 0) return;
    frames_.clear();
    proto::ws::append_frame_header(proto::ws::Opcode::binary, payload_bytes, frames_);
    // Everything is copied once, straight to where it is sent from.
    SharedBytes frame = SharedBytes::allocate(frames_.size() + payload_bytes);
    std::byte* const payload = frame.writable().data() + frames_.size();
    std::memcpy(frame.writable().data(), frames_.data(), frames_.size());
    if (!payload_.empty()) std::memcpy(payload, payload_.data(), payload_.size());
    std::size_t end = payload_.size();
    for (const SharedBytes& part : parts_) {
      const std::size_t begin = aligned(end);
      std::memset(payload + end, 0, begin - end);
      std::memcpy(payload + begin, part.bytes().data(), part.size());
      end = begin + part.size();
    }
    TZ_ASSERT(end == payload_bytes);
    states_.frames.push_back(std::move(frame));
    payload_.clear();
    parts_.clear();
    parts_bytes_ = 0;
    frames_.clear();
  }

  ShardKey shard_;
  proto::Form form_;
  proto::Encoder& encoder_;
  EncodedChunks& encoded_;
  ChunkStates states_;
  std::vector<SharedBytes> parts_;  // messages for the joint frame, behind `payload_`
  std::size_t parts_bytes_ = 0;
  proto::ByteBuffer payload_, frames_, message_;
  std::vector<std::byte> coded_;
};

constexpr std::uint32_t key_of(map::LayerId layer, map::ChunkPos chunk) {
  return static_cast<std::uint32_t>(layer) << 16 | map::index_in_shard(chunk);
}

template <class Visit>
void for_each_chunk(std::span<const map::LayerId> layers, const map::Rect& chunks, Visit&& visit) {
  for (const map::LayerId layer : layers)
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
        visit(layer, map::ChunkPos{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
}

}  // namespace

ChunkStates encode_states(const storage::Head& store, const SubscribeRequest& request, const KnownRules& rules,
                          proto::Encoder& encoder, EncodedChunks& encoded) {
  std::unordered_map<std::uint32_t, Known> known;
  for (const proto::KnownChunk& k : request.known)
    known[key_of(k.layer, k.chunk)] = {rules.believable(request.incarnation, k.revision), k.revision};

  StateWriter writer(request.shard, request.form, encoder, encoded);
  for_each_chunk(request.layers, request.chunks, [&](map::LayerId layer, map::ChunkPos position) {
    const storage::ChunkRead read = store.read(layer, map::index_in_shard(position));
    const auto found = known.find(key_of(layer, position));
    // Without a word from the client it holds the empty chunk that every chunk is at revision 0.
    bool has_it = found == known.end() ? read.revision.value == 0
                                       : found->second.believable && found->second.revision == read.revision;
    if (canary::is(canary::Bug::stale_resume) && found != known.end()) has_it = found->second.believable;
    if (!has_it) writer.write(layer, position, read);
  });
  return writer.finish();
}

ChunkStates encode_changed(const storage::Head& store, const RefreshRequest& request, proto::Encoder& encoder,
                           EncodedChunks& encoded) {
  StateWriter writer(request.shard, request.form, encoder, encoded);
  if (!store) return writer.finish();
  std::unordered_set<std::uint32_t> written;
  for (const RefreshRequest::Area& area : request.areas) {
    for_each_chunk(area.layers, area.chunks, [&](map::LayerId layer, map::ChunkPos position) {
      const storage::ChunkRead read = store.read(layer, map::index_in_shard(position));
      if (read.revision < request.since) return;
      if (canary::is(canary::Bug::first_left_out_forgotten) && read.revision == request.since) return;
      if (written.insert(key_of(layer, position)).second) writer.write(layer, position, read);
    });
  }
  return writer.finish();
}

}  // namespace terrazzo::shard

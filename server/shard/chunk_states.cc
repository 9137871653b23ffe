#include "server/shard/chunk_states.h"

#include <unordered_map>
#include <unordered_set>

#include "map/chunk_codec.h"
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

class StateWriter {
 public:
  StateWriter(proto::Form form, proto::Encoder& encoder) : form_(form), encoder_(encoder) {}

  void write(map::LayerId layer, map::ChunkPos position, const storage::ChunkRead& read) {
    proto::Chunk chunk{
        .layer = layer, .chunk = position, .revision = read.revision, .fill = {}, .coded = {}, .cells = {}};
    if (read.cells == nullptr) {
      chunk.fill = map::Cell{read.fill};
    } else if (form_ == proto::Form::json) {
      chunk.cells = cells_of_page(read.cells);
    } else {
      coded_.clear();
      map::encode_chunk(cells_of_page(read.cells), coded_);
      chunk.coded = coded_;
    }
    encoder_.append(form_, chunk, payload_);
    ++states_.chunks;
    // Binary messages share a frame; a JSON message is a frame of its own.
    if (form_ == proto::Form::json || payload_.size() >= kFrameBytes) end_frame();
    if (frames_.size() >= kFrameBytes) end_bytes();
  }
  ChunkStates finish() {
    end_frame();
    end_bytes();
    return std::move(states_);
  }

 private:
  void end_frame() {
    if (payload_.empty()) return;
    append_frame(form_, payload_, frames_);
    payload_.clear();
  }
  void end_bytes() {
    if (frames_.empty()) return;
    states_.frames.push_back(shared(frames_));
    frames_.clear();
  }

  proto::Form form_;
  proto::Encoder& encoder_;
  ChunkStates states_;
  proto::ByteBuffer payload_, frames_;
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

ChunkStates encode_states(const storage::ShardStore* store, const SubscribeRequest& request, const KnownRules& rules,
                          proto::Encoder& encoder) {
  std::unordered_map<std::uint32_t, Known> known;
  for (const proto::KnownChunk& k : request.known)
    known[key_of(k.layer, k.chunk)] = {rules.believable(request.incarnation, k.revision), k.revision};

  StateWriter writer(request.form, encoder);
  for_each_chunk(request.layers, request.chunks, [&](map::LayerId layer, map::ChunkPos position) {
    const storage::ChunkRead read =
        store == nullptr ? storage::ChunkRead{} : store->read(layer, map::index_in_shard(position));
    const auto found = known.find(key_of(layer, position));
    // Without a word from the client it holds the empty chunk that every chunk is at revision 0.
    const bool has_it = found == known.end() ? read.revision.value == 0
                                             : found->second.believable && found->second.revision == read.revision;
    if (!has_it) writer.write(layer, position, read);
  });
  return writer.finish();
}

ChunkStates encode_changed(const storage::ShardStore* store, const RefreshRequest& request, proto::Encoder& encoder) {
  StateWriter writer(request.form, encoder);
  if (store == nullptr) return writer.finish();
  std::unordered_set<std::uint32_t> written;
  for (const RefreshRequest::Area& area : request.areas) {
    for_each_chunk(area.layers, area.chunks, [&](map::LayerId layer, map::ChunkPos position) {
      const storage::ChunkRead read = store->read(layer, map::index_in_shard(position));
      if (read.revision < request.since) return;
      if (written.insert(key_of(layer, position)).second) writer.write(layer, position, read);
    });
  }
  return writer.finish();
}

}  // namespace terrazzo::shard

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "map/coords.h"
#include "proto/messages.h"
#include "server/session/connection.h"

namespace terrazzo::session {

// Who on this core watches which chunk of one world. Two stages, because interest is asked of the owner before the
// states come back: `expect` counts a viewer in, `admit` lets edits through to it.
//  1. A chunk stays interesting to the owner from the first expect until forget says that it is not any more.
//  2. collect() names a connection once, however many of its subscriptions see the chunks.
class ViewerIndex {
 public:
  // `instance`: one subscription's registration, unique on this core.
  void expect(proto::Form form, const map::Rect& chunks);
  void admit(Connection connection, std::uint32_t instance, proto::Form form, const map::Rect& chunks);
  // Ends what expect (and, where it happened, admit) began; appends to `uninteresting` the chunks nobody here watches
  // in that form any more.
  void forget(Connection connection, std::uint32_t instance, proto::Form form, const map::Rect& chunks,
              std::vector<map::ChunkPos>& uninteresting);

  // The connections of `form` that were admitted for any of the chunk rectangles.
  void collect(proto::Form form, std::span<const map::Rect> touched, std::vector<Connection>& out);
  bool empty() const { return chunks_.empty(); }
  std::size_t chunk_count() const { return chunks_.size(); }

 private:
  struct Viewer {
    Connection connection;
    std::uint32_t instance;
  };
  struct Watch {
    std::array<std::uint32_t, 2> expected{};  // by form
    std::array<std::vector<Viewer>, 2> admitted;
  };

  void collect_chunk(const Watch& watch, std::size_t form, std::vector<Connection>& out);

  std::unordered_map<map::ChunkPos, Watch> chunks_;
  std::vector<std::uint64_t> seen_;  // by slot: the collect() that named it last
  std::uint64_t round_ = 0;
};

}  // namespace terrazzo::session

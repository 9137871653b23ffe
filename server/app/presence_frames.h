#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/block_pool.h"
#include "base/shared_bytes.h"
#include "proto/codec.h"
#include "server/session/session_output.h"

namespace terrazzo::app {

// Presence as frames. What newcomers ask for one after the other is the same for all of them as long as nobody moves:
// when many come at once, a second of it is kept. One core's.
class PresenceFrames {
 public:
  // For all who are to know, at once.
  SharedBytes encode(proto::Form form, const session::PresenceNote& note);
  // For one of several who come for the same note.
  const SharedBytes& kept(proto::Form form, const session::SharedNote& note);
  // Forgets what was kept for a second.
  void tick(std::uint64_t now_ns);

  std::uint64_t encodings() const { return encodings_; }
  std::size_t kept_count() const { return kept_.size(); }

 private:
  struct Kept {
    session::SharedNote note;  // so that no other can lie at the same address
    std::array<SharedBytes, 2> frames;
  };
  proto::Encoder encoder_;
  proto::ByteBuffer payload_;   // scratch
  BlockPool blocks_{512, 256};  // of what goes out soon
  std::unordered_map<const session::PresenceNote*, Kept> kept_;
  std::uint64_t forget_ns_ = 0;  // 0: nothing is kept
  std::uint64_t encodings_ = 0;
};

}  // namespace terrazzo::app

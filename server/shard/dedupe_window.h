#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"

namespace terrazzo::shard {

// Which edits (session, id) one shard has applied: the newest kIds ids of the kSessionsMax sessions that wrote last. An
// id older than a session's window counts as applied: a client resends only what it still waits for. Kept in
// checkpoints.
class DedupeWindow {
 public:
  static constexpr std::uint64_t kIds = 1024;
  static constexpr std::size_t kSessionsMax = 8192;

  bool seen(SessionId author, EditId edit) const;
  // As seen(), but an id older than the window is not taken for applied: for recovery, which must not guess.
  bool remembers(SessionId author, EditId edit) const;
  // `now`: the shard's LSN, which orders sessions by when they wrote last.
  void remember(SessionId author, EditId edit, Lsn now);
  std::size_t sessions() const { return windows_.size(); }

  std::size_t encoded_bytes() const;
  void encode(std::vector<std::byte>& out) const;
  // Consumes its bytes from the front of `bytes`.
  Status decode(std::span<const std::byte>& bytes);

 private:
  struct Window {
    std::uint64_t newest = 0;
    std::uint64_t last_lsn = 0;
    std::array<std::uint64_t, kIds / 64> bits{};  // bit id % kIds, for ids in (newest - kIds, newest]
  };
  void drop_oldest();

  std::unordered_map<SessionId, Window> windows_;
};

}  // namespace terrazzo::shard

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/storage/aux_source.h"

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
  std::size_t sessions() const { return places_.size(); }

  // Its bytes as they are now, to be read while edits go on: taking them costs a pointer for each block, and the first
  // edit of each block while they are read copies that block.
  std::unique_ptr<storage::AuxSource> bytes() const;
  std::size_t encoded_bytes() const;
  // Consumes its bytes from the front of `bytes`.
  Status decode(std::span<const std::byte>& bytes);

 private:
  // As it lies in checkpoints.
  struct Window {
    std::uint64_t author = 0;
    std::uint64_t newest = 0;
    std::uint64_t last_lsn = 0;
    std::array<std::uint64_t, kIds / 64> bits{};  // bit id % kIds, for ids in (newest - kIds, newest]
  };
  static_assert(sizeof(Window) == 24 + kIds / 8);
  // Small enough that copying one costs an edit about a microsecond.
  static constexpr std::size_t kBlockWindows = 64;
  using Block = std::vector<Window>;  // full but for the last
  using Blocks = std::vector<std::shared_ptr<Block>>;
  class Bytes;

  const Window* find(SessionId author) const;
  // To be changed: of no other owner.
  Window& window(std::size_t place);
  std::size_t add(const Window& window);
  void drop_oldest();

  std::unordered_map<SessionId, std::size_t> places_;
  Blocks blocks_;
};

}  // namespace terrazzo::shard

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "map/edit.h"
#include "server/shard/messages.h"
#include "server/shard/pre_image.h"

// The payloads of log records: edits as applied, without conditions (they held) and clipped to their shard.
// Little-endian; docs/storage.md has the layout.
namespace terrazzo::shard {

struct LoggedEdit {
  SessionId author;
  UserId user;                // 0: nobody's, or written before users were
  std::uint64_t time_us = 0;  // when it was asked for, since 1970
  std::optional<UndoOf> undo;
  std::uint64_t restored = 0, skipped = 0;  // cells, of an undo
  std::uint64_t coordinated = 0;
  std::uint32_t parts = 0;  // of an edit over several shards: in how many; 0: in one, or written before it was counted
  std::uint64_t version = 0;  // the world's newest one that the shard knew: a later one does not show the edit
  map::Edit edit;             // ops live in the arena given
  std::optional<Restore> restore;
  std::span<const Swap> swaps;  // of a part in a coordinator's record; likewise
  PreImageKind pre_image_kind = PreImageKind::none;
  std::span<const std::byte> pre_image;  // of kind cells: for decode_pre_image()
};

// What the edit overwrites, as it is kept with it.
struct PreImage {
  PreImageKind kind = PreImageKind::none;
  std::span<const std::byte> bytes;
  std::uint64_t restored = 0, skipped = 0;  // cells, of an undo
};

void encode_edit(const EditRequest& request, std::uint64_t version, const PreImage& before,
                 std::vector<std::byte>& out);
// Whose edit it is, without looking at what it did; no ops. internal: the payload is none of an edit.
Result<LoggedEdit> peek_edit(std::span<const std::byte> payload);
Result<LoggedEdit> decode_edit(std::span<const std::byte> payload, Arena& arena);

// The parts of an edit over several shards; its number is the record's LSN.
void encode_coordinated(const CoordinatedRequest& request, std::vector<std::byte>& out);

}  // namespace terrazzo::shard

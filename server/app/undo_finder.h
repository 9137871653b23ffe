#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "server/io/data_directory.h"
#include "server/shard/messages.h"
#include "server/shard/undo_stack.h"

namespace terrazzo::app {

// An undo or redo that somebody asked for.
struct UndoQuery {
  WorldId world;  // or a branch
  UserId user;
  shard::EditName own;  // what the undo itself is called
  shard::UndoWish wish;
  std::uint64_t time_us = 0;  // when it was asked for: what is newer does not count
  // Its session has come back on a new connection, so it may have been applied before.
  bool may_be_applied = false;
};

// A shard's part of an edit, as logged.
struct LoggedPart {
  map::ShardPos shard;
  Lsn lsn;
  std::vector<std::byte> payload;
};

struct UndoFound {
  shard::EditName edit;  // that is undone or redone
  std::vector<LoggedPart> parts;
  bool applied = false;  // the parts are those of the undo that is asked for once more
};

// Finds what an undo takes back by reading the log backwards: the segments of all cores, and what was sealed of them.
// So it reaches as far as the past is kept, over restarts, and an edit pays nothing for it but the user and the time in
// its record. What is to be found must be on disk. Blocks; any thread.
// not_found, conflict: there is no such edit; forbidden: it is another user's.
Result<UndoFound> find_undo(const io::DataDirectory& data, const UndoQuery& query);

}  // namespace terrazzo::app

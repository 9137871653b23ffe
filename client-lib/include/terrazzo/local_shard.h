#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

// Reading a world on the server's own host: the shard's file is mapped read-only, and cells are read where they lie,
// without sockets, copies or system calls. The server pins what is being looked at.
namespace terrazzo::client {

// A chunk of one layer. `cells`: 32×32, row by row, in the mapping; empty: every cell is `fill`.
struct LocalChunk {
  std::span<const map::Cell> cells;
  map::Cell fill;
  Lsn revision;  // the newest edit that touched it; 0: never
  map::Cell at(std::size_t index) const { return cells.empty() ? fill : cells[index]; }
};

// One shard (8192×8192 cells) of a world that a running server has open: somebody has edited or subscribed to it since
// the server started. One thread.
class LocalShard {
 public:
  // `file`: DATA/worlds/<world id>/<x>_<y>.shard, readable, and writable beside it. Waits at most `patience` for the
  // server to publish. not_found: there is no such file; overloaded: no server has it open, or sixty readers do
  // already.
  static Result<std::unique_ptr<LocalShard>> open(const std::string& file, std::chrono::milliseconds patience);
  ~LocalShard();
  LocalShard(const LocalShard&) = delete;
  LocalShard& operator=(const LocalShard&) = delete;

  // Moves on to the newest published state, which stays as it is until the next call. Free of system calls unless the
  // file has grown. overloaded: the server has gone.
  Status refresh();
  // Of the present state: it shows exactly the edits up to here.
  Lsn lsn() const;
  // internal: the file is damaged.
  Result<LocalChunk> chunk(map::LayerId layer, map::ChunkPos chunk) const;
  // Whether what was read since refresh() may be believed: no, if the server was restarted meanwhile, or does
  // not see this process (another PID namespace) and so took it for dead.
  bool still_valid() const;

 private:
  struct State;
  explicit LocalShard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::client

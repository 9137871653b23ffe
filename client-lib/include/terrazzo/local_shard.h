#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

// Reading a world on the server's own host: the shard's file is mapped read-only, and cells are read where they lie,
// without sockets, copies or system calls. The server pins what is being looked at, until newer states have been there
// for its --reader-hold-s (60 s): then it closes the view, and the pages are written over.
namespace terrazzo::client {

// A chunk of one layer. `cells`: 32×32, row by row, in the mapping; empty: every cell is `fill`. What a span shows is
// the view's state if valid() says so after it was read; it can be touched until the next refresh() in any case.
struct LocalChunk {
  std::span<const map::Cell> cells;
  map::Cell fill;
  Lsn revision;  // the newest edit that touched it; 0: never
  map::Cell at(std::size_t index) const { return cells.empty() ? fill : cells[index]; }
};

// Where a server keeps a shard (8192×8192 cells), below its data folder.
std::string local_shard_file(const std::string& data_folder, WorldId world, map::ShardPos shard);

// Makes a shard's file that somebody cuts off under its readers an error (internal) of the calls below. Without it, who
// touches what is missing gets SIGBUS, of which the program ends: the library takes no signal that it was not given.
// This takes SIGBUS for the whole process, but only faults in files of shards are kept from whoever had it before (a
// handler that is installed afterwards must pass on in the same way). Any thread, any time.
void guard_local_shards();

// A view of one shard of a world that a running server has open: somebody has edited or subscribed to it since the
// server started. One thread.
class LocalShard {
 public:
  // `file`: as of local_shard_file(), readable, and the page beside it writable. Waits at most `patience` for the
  // server to publish. bad_message: no such name; not_found: there is no such file (nobody has edited there yet);
  // overloaded: no server has it open, or sixty readers do already.
  static Result<std::unique_ptr<LocalShard>> open(const std::string& file, std::chrono::milliseconds patience);
  ~LocalShard();
  LocalShard(const LocalShard&) = delete;
  LocalShard& operator=(const LocalShard&) = delete;

  map::ShardPos position() const;
  // Moves on to the newest published state, which stays as it is until the next call. Free of system calls unless the
  // file has grown. overloaded: the server has gone; internal: the file was cut off.
  Status refresh();
  // Of the view: it shows exactly the edits up to here.
  Lsn lsn() const;
  // Of the newest state that is published, which refresh() would show.
  Lsn newest_lsn() const;
  // out_of_bounds: not of this shard; internal: the file is damaged; or what valid() says.
  Result<LocalChunk> chunk(map::LayerId layer, map::ChunkPos chunk) const;
  // Copies cells, row by row, and proves them as valid() does. `area`: not empty, inside the shard; `out`: as many
  // cells as it has. Errors: as of chunk(); then `out` holds nothing to be believed.
  Status read(map::LayerId layer, const map::Rect& area, std::span<map::Cell> out) const;
  // Proves that everything read since refresh() was the view's state. Asked after reading and before believing, where
  // reading may have taken as long as the server's --reader-hold-s: cells are not copied, so a chunk that chunk() has
  // handed out may change under whoever holds it when the view is closed. No system calls, some nanoseconds.
  // conflict: the view was closed, by that or by a restart of the server; refresh() makes a new one. internal: the
  // server does not see this process (another PID namespace) and so took it for dead, or the file was cut off.
  Status valid() const;

 private:
  struct State;
  explicit LocalShard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::client

#pragma once

#include <array>
#include <vector>

#include "map/edit.h"
#include "map/read_chunk.h"

namespace terrazzo::map {

// Cells as they are after plain ops that are not carried out yet: what an op of an edit reads is what those before it
// leave. Both arguments outlive it; the ops may grow. What read() returns holds until it is called again.
class ReadAfter {
 public:
  ReadAfter(const ReadChunk& before, const std::vector<Op>& ops) : before_(before), ops_(ops) {}

  // The ops from `first` on all lie in `rect`, and count from now on.
  void note(const Rect& rect, std::size_t first);
  ChunkCells read(LayerId layer, ChunkPos chunk);

 private:
  // So that a chunk is not compared with each of thousands of ops.
  struct Step {
    Rect rect;
    std::size_t first, end;  // in ops_
  };
  const ReadChunk& before_;
  const std::vector<Op>& ops_;
  std::vector<Step> steps_;
  std::array<Cell, kChunkCells> changed_;
};

}  // namespace terrazzo::map

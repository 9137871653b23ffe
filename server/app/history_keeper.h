#pragma once

#include "server/app/node.h"
#include "server/io/data_directory.h"
#include "server/storage/history.h"

namespace terrazzo::app {

// Seals a segment that recovery does not need any more, removes it, and lets go of the oldest history beyond what the
// configuration allows. Blocks; for workers. What fails is logged and tried again at the next start.
void seal_into_history(Node& node, const io::SegmentName& segment);
// Lets go of history that is too old or too much, and counts what is left for the metrics. Blocks; any thread.
void keep_history_limits(Node& node);

// Does so once an hour in a worker, since history grows old also where nothing is sealed. One core's thread.
class HistoryTimer {
 public:
  explicit HistoryTimer(Node& node) : node_(node) {}
  // The first call begins the first hour: at the start of a server its limits are kept anyway.
  void tick(std::uint64_t now_ns, unsigned core);

 private:
  Node& node_;
  std::uint64_t due_ns_ = 0;
};

// The chunks that a record of an edit changed.
storage::ChunkArea chunks_of_record(const storage::Record& record);

}  // namespace terrazzo::app

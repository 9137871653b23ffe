#pragma once

#include "server/app/node.h"
#include "server/io/data_directory.h"
#include "server/storage/history.h"

namespace terrazzo::app {

// Seals a segment that recovery does not need any more, removes it, and lets go of the oldest history beyond what the
// configuration allows. Blocks; for workers. What fails is logged and tried again at the next start.
void seal_into_history(Node& node, const io::SegmentName& segment);
// The chunks that a record of an edit changed.
storage::ChunkArea chunks_of_record(const storage::Record& record);

}  // namespace terrazzo::app

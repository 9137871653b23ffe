#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "server/io/data_directory.h"
#include "server/storage/history.h"

// One segment of the log, in the log or sealed: whoever reads the past need not know which. Blocking; any thread.
namespace terrazzo::app {

// A record is stamped where its connection is, and logged by the shard's owner: this much later at most, or the older
// one of two steps of which another core logged the newer one may be taken for the newer. Pages that a slow disk brings
// take seconds.
inline constexpr std::uint64_t kStampDelayUs = 10'000'000;

// All that there are, each once: those of a core by age.
Result<std::vector<io::SegmentName>> list_past(const io::DataDirectory& data);
// Its records, wherever it is by now; none: it went with the oldest history. `blocks`: which blocks of a sealed one are
// wanted; records beside that come, too.
Status visit_segment(const io::DataDirectory& data, const io::SegmentName& segment, const storage::HistoryQuery& blocks,
                     const std::function<void(const storage::Record&)>& each);
// What it has of which shard; of a sealed one without unpacking anything. A shard may come several times, with an empty
// area where nobody looked.
Status visit_parts(const io::DataDirectory& data, const io::SegmentName& segment,
                   const storage::HistoryReader::PartVisit& each);

}  // namespace terrazzo::app

#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "base/error.h"
#include "server/app/past_segment.h"

namespace terrazzo::app {

// All edits that are kept, backwards: the log segments of all cores and what was sealed of them, each segment whole,
// the one that may hold the newest first. Blocking; one thread.
class Past {
 public:
  // `blocks`: which blocks of sealed segments are wanted; records beside that come, too.
  static Result<Past> open(const io::DataDirectory& data, storage::HistoryQuery blocks = {});

  // No record that was not visited yet is younger, in microseconds since 1970; 0: there are none left. A record without
  // a time (of a server that wrote none) counts as oldest.
  std::uint64_t bound() const;
  // Visits the next segment's edits in the order of the log; there is one.
  Status read_next(const std::function<void(const storage::Record&)>& each);

 private:
  // The log of one core, the newest segment last.
  struct Stream {
    std::vector<io::SegmentName> segments;
    std::uint64_t bound = std::numeric_limits<std::uint64_t>::max();  // of the times in those that are left
  };

  Past(const io::DataDirectory& data, storage::HistoryQuery blocks) : data_(&data), blocks_(blocks) {}

  const io::DataDirectory* data_;
  storage::HistoryQuery blocks_;
  std::map<std::uint32_t, Stream> streams_;  // by core
};

}  // namespace terrazzo::app

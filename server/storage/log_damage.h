#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/storage/wal.h"

// What is wrong with the logs of a data folder, all segments taken together. Pure.
namespace terrazzo::storage {

struct ScannedSegment {
  SegmentName name;
  WalScan scan;
};

// A place where a log does not check although later groups were durable: what stood there had been acknowledged.
struct LogDamage {
  SegmentName segment;
  std::uint64_t at = 0;  // byte in that segment
  // Behind it, in this segment; and the later segments of the same log that hold something.
  std::uint64_t groups_behind = 0, records_behind = 0, segments_behind = 0;
  std::string what;  // for people
  // A later run has taken edits, so it had replayed this log and has it in its shards: nothing is lost.
  bool of_a_past_run = false;
};

// In the order of core, incarnation, number; any order of the segments will do. A segment that is missing is no damage:
// sealed ones go.
std::vector<LogDamage> find_log_damage(std::span<const ScannedSegment> segments);

}  // namespace terrazzo::storage

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "map/coords.h"
#include "server/app/past_segment.h"

namespace terrazzo::app {

// The edits of one line of a world that are kept, shard by shard, in each by LSN, the newest first: whichever cores
// logged them, and whether that is sealed. Past has all shards at once, but only about in that order. Blocking; one
// thread.
class LinePast {
 public:
  // Of one shard at a time, at most so many bytes of records are held.
  static constexpr std::size_t kHeldBytesMax = std::size_t{1} << 30;

  // `area`: cells; only blocks of sealed segments that touch it are read, records beside it come, too.
  static Result<LinePast> open(const io::DataDirectory& data, WorldId line, std::optional<map::Rect> area);

  std::vector<map::ShardPos> shards() const;
  // Calls `each` with the payload of a log record, until it says false.
  using Visit = std::function<Result<bool>(Lsn lsn, std::span<const std::byte> payload)>;
  Status visit(map::ShardPos shard, const Visit& each) const;

 private:
  // What a segment has of a shard.
  struct Part {
    std::size_t segment = 0;  // of segments_
    Lsn first, last;
  };
  struct Held;

  LinePast(const io::DataDirectory& data, WorldId line) : data_(&data), line_(line) {}
  Result<Held> hold(map::ShardPos shard, std::span<const Part> parts) const;

  const io::DataDirectory* data_;
  WorldId line_;
  std::optional<storage::ChunkArea> area_;
  std::vector<io::SegmentName> segments_;
  std::map<std::pair<std::int32_t, std::int32_t>, std::vector<Part>> parts_;  // by y and x
};

}  // namespace terrazzo::app

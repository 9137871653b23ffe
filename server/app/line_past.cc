#include "server/app/line_past.h"

#include <fmt/format.h>

#include <algorithm>

namespace terrazzo::app {

// Records of one shard, the newest first, in memory.
struct LinePast::Held {
  struct Place {
    Lsn lsn;
    std::size_t at, bytes;
  };
  std::vector<Place> places;
  std::vector<std::byte> payloads;
};

Result<LinePast> LinePast::open(const io::DataDirectory& data, WorldId line, std::optional<map::Rect> area) {
  LinePast past(data, line);
  if (area) {
    const map::Rect chunks = map::chunks_of(*area);
    past.area_ = storage::ChunkArea{chunks.x0, chunks.y0, chunks.x1, chunks.y1};
  }
  const map::Rect shards = map::shards_of(area.value_or(map::kPlane));
  auto segments = list_past(data);
  if (!segments) return segments.error();
  past.segments_ = *std::move(segments);
  for (std::size_t i = 0; i < past.segments_.size(); ++i) {
    const auto note = [&](const storage::ShardIdentity& shard, Lsn first, Lsn last, const storage::ChunkArea& changed) {
      if (shard.world != line || !shards.contains(map::CellPos{shard.x, shard.y})) return;
      if (past.area_ && !changed.empty() && !changed.meets(*past.area_)) return;
      std::vector<Part>& parts = past.parts_[{shard.y, shard.x}];
      if (parts.empty() || parts.back().segment != i) {
        parts.push_back({i, first, last});
      } else {
        parts.back().first = std::min(parts.back().first, first);
        parts.back().last = std::max(parts.back().last, last);
      }
    };
    if (const Status read = visit_parts(data, past.segments_[i], note); !read) return read.error();
  }
  for (auto& [at, parts] : past.parts_)
    std::ranges::sort(parts, [](const Part& a, const Part& b) { return a.last > b.last; });
  return past;
}

std::vector<map::ShardPos> LinePast::shards() const {
  std::vector<map::ShardPos> all;
  for (const auto& [at, parts] : parts_) all.push_back({at.second, at.first});
  return all;
}

Status LinePast::visit(map::ShardPos shard, const Visit& each) const {
  const auto found = parts_.find({shard.y, shard.x});
  if (found == parts_.end()) return {};
  const std::span<const Part> parts = found->second;
  std::optional<Lsn> last;
  for (std::size_t from = 0; from < parts.size();) {
    // A shard that went to another core and came back has LSNs of both between each other.
    std::size_t to = from + 1;
    Lsn oldest = parts[from].first;
    for (; to < parts.size() && parts[to].last >= oldest; ++to) oldest = std::min(oldest, parts[to].first);
    const Result<Held> held = hold(shard, parts.subspan(from, to - from));
    if (!held) return held.error();
    for (const Held::Place& place : held->places) {
      // One that a start rolled forward which did not come to its end is there twice.
      if (last && place.lsn >= *last) continue;
      last = place.lsn;
      const Result<bool> goes_on = each(place.lsn, std::span(held->payloads).subspan(place.at, place.bytes));
      if (!goes_on) return goes_on.error();
      if (!*goes_on) return {};
    }
    from = to;
  }
  return {};
}

Result<LinePast::Held> LinePast::hold(map::ShardPos shard, std::span<const Part> parts) const {
  Held held;
  bool too_much = false;
  const storage::HistoryQuery wanted{storage::ShardIdentity{line_, shard.x, shard.y}, Lsn{0}, Lsn{~std::uint64_t{0}},
                                     area_};
  for (const Part& part : parts) {
    const Status read = visit_segment(*data_, segments_[part.segment], wanted, [&](const storage::Record& record) {
      if (record.kind != storage::RecordKind::edit || !(record.shard == *wanted.shard)) return;
      too_much = too_much || held.payloads.size() + record.payload.size() > kHeldBytesMax;
      if (too_much) return;
      held.places.push_back({record.lsn, held.payloads.size(), record.payload.size()});
      held.payloads.insert(held.payloads.end(), record.payload.begin(), record.payload.end());
    });
    if (!read) return read.error();
  }
  if (too_much) {
    return Error{ErrorCode::too_large,
                 fmt::format("the log has more than {} MiB of shard {},{} that would have to be looked at at once: ask "
                             "for a smaller area",
                             kHeldBytesMax >> 20, shard.x, shard.y)};
  }
  std::ranges::stable_sort(held.places, [](const auto& a, const auto& b) { return a.lsn > b.lsn; });
  return held;
}

}  // namespace terrazzo::app

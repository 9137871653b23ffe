#include "server/storage/log_damage.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace terrazzo::storage {
namespace {

bool same_log(const SegmentName& a, const SegmentName& b) {
  return a.core == b.core && a.incarnation == b.incarnation;
}

// How many groups are missing between two segments that follow one another.
std::uint16_t missing(const ScannedSegment& segment, const ScannedSegment& next) {
  if (next.name.number != segment.name.number + 1 || !segment.scan.last_ordinal || !next.scan.first_ordinal) return 0;
  return static_cast<std::uint16_t>(*next.scan.first_ordinal - *segment.scan.last_ordinal - 1);
}

std::string behind(const LogDamage& damage) {
  std::string text;
  if (damage.groups_behind != 0)
    text =
        fmt::format("{} later groups with {} whole records lie behind it", damage.groups_behind, damage.records_behind);
  if (damage.segments_behind != 0)
    text += fmt::format("{}{} later segments of the same log hold more", text.empty() ? "" : ", and ",
                        damage.segments_behind);
  return text;
}

// `later`: the segments of the same log behind this one that hold something.
std::string why_damaged(const ScannedSegment& segment, std::span<const ScannedSegment* const> later) {
  const WalScan& scan = segment.scan;
  if (scan.end == WalScan::End::damaged) return scan.end_at == 0 ? "its header does not check" : "it does not check";
  if (later.empty()) return "";
  if (scan.end == WalScan::End::torn) return "it does not check";
  if (!scan.begun) return "it holds nothing";
  const std::uint16_t gone = missing(segment, *later.front());
  return gone == 0 ? "" : fmt::format("{} groups are missing", gone);
}

}  // namespace

std::vector<LogDamage> find_log_damage(std::span<const ScannedSegment> segments) {
  std::vector<const ScannedSegment*> sorted;
  for (const ScannedSegment& segment : segments) sorted.push_back(&segment);
  std::ranges::sort(sorted, {}, [](const ScannedSegment* s) {
    return std::tuple(s->name.core, s->name.incarnation, s->name.number);
  });
  Incarnation newest;
  for (const ScannedSegment& segment : segments)
    if (segment.scan.begun) newest = std::max(newest, segment.name.incarnation);
  std::vector<LogDamage> found;
  std::vector<const ScannedSegment*> later;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const ScannedSegment& segment = *sorted[i];
    later.clear();
    for (std::size_t j = i + 1; j < sorted.size() && same_log(sorted[j]->name, segment.name); ++j)
      if (sorted[j]->scan.begun) later.push_back(sorted[j]);
    const std::string why = why_damaged(segment, later);
    if (why.empty()) continue;
    LogDamage damage{segment.name,
                     segment.scan.end_at,
                     segment.scan.groups_behind,
                     segment.scan.records_behind,
                     later.size(),
                     {},
                     segment.name.incarnation < newest};
    damage.what = fmt::format("byte {}: {}, but {}", damage.at, why, behind(damage));
    found.push_back(std::move(damage));
  }
  return found;
}

}  // namespace terrazzo::storage

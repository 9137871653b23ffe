#include "server/session/viewer_index.h"

#include <algorithm>

#include "base/assert.h"

namespace terrazzo::session {
namespace {

template <class Visit>
void for_each_chunk(const map::Rect& chunks, Visit visit) {
  for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
    for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
      visit(map::ChunkPos{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
}

}  // namespace

void ViewerIndex::expect(proto::Form form, const map::Rect& chunks) {
  for_each_chunk(chunks, [&](map::ChunkPos p) { ++chunks_[p].expected[static_cast<std::size_t>(form)]; });
}

void ViewerIndex::admit(Connection connection, std::uint32_t instance, proto::Form form, const map::Rect& chunks) {
  for_each_chunk(chunks, [&](map::ChunkPos p) {
    const auto found = chunks_.find(p);
    TZ_ASSERT(found != chunks_.end());  // expect comes first
    found->second.admitted[static_cast<std::size_t>(form)].push_back({connection, instance});
  });
}

void ViewerIndex::forget(Connection connection, std::uint32_t instance, proto::Form form, const map::Rect& chunks,
                         std::vector<map::ChunkPos>& uninteresting) {
  const auto f = static_cast<std::size_t>(form);
  for_each_chunk(chunks, [&](map::ChunkPos p) {
    const auto found = chunks_.find(p);
    TZ_ASSERT(found != chunks_.end());
    Watch& watch = found->second;
    auto& viewers = watch.admitted[f];
    const auto viewer = std::find_if(viewers.begin(), viewers.end(), [&](const Viewer& v) {
      return v.instance == instance && v.connection == connection;
    });
    if (viewer != viewers.end()) {
      *viewer = viewers.back();
      viewers.pop_back();
    }
    TZ_ASSERT(watch.expected[f] > 0);
    if (--watch.expected[f] == 0) uninteresting.push_back(p);
    if (watch.expected[0] == 0 && watch.expected[1] == 0) chunks_.erase(found);
  });
}

void ViewerIndex::collect_chunk(const Watch& watch, std::size_t form, std::vector<Connection>& out) {
  for (const Viewer& viewer : watch.admitted[form]) {
    const std::uint32_t slot = viewer.connection.slot;
    if (slot >= seen_.size()) seen_.resize(std::size_t{slot} + 1);
    if (seen_[slot] == round_) continue;
    seen_[slot] = round_;
    out.push_back(viewer.connection);
  }
}

void ViewerIndex::collect(proto::Form form, std::span<const map::Rect> touched, std::vector<Connection>& out) {
  ++round_;
  const auto f = static_cast<std::size_t>(form);
  for (const map::Rect& rect : touched) {
    // A fill may touch more chunks than anybody watches: walk the smaller side.
    if (rect.area() > chunks_.size()) {
      for (const auto& [p, watch] : chunks_)
        if (rect.contains(map::CellPos{p.x, p.y})) collect_chunk(watch, f, out);
      continue;
    }
    for_each_chunk(rect, [&](map::ChunkPos p) {
      const auto found = chunks_.find(p);
      if (found != chunks_.end()) collect_chunk(found->second, f, out);
    });
  }
}

}  // namespace terrazzo::session

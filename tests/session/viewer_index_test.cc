// The index against a list of everything that was said to it.
#include "server/session/viewer_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

namespace terrazzo::session {
namespace {

struct Entry {
  Connection connection;
  std::uint32_t instance;
  proto::Form form;
  map::Rect chunks;
  std::vector<map::Rect> admitted;  // disjoint parts of chunks
  std::vector<map::Rect> waiting;   // the others
};

std::vector<map::ChunkPos> chunks_in(const map::Rect& rect) {
  std::vector<map::ChunkPos> all;
  for (std::int64_t y = rect.y0; y < rect.y1; ++y)
    for (std::int64_t x = rect.x0; x < rect.x1; ++x)
      all.push_back({static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)});
  return all;
}

bool holds(const map::Rect& rect, map::ChunkPos p) {
  return rect.contains(map::CellPos{p.x, p.y});
}

class ViewerIndexModel {
 public:
  explicit ViewerIndexModel(std::uint64_t seed) : random_(seed), most_(static_cast<std::size_t>(pick(1, 12))) {}

  void step() {
    const auto choice = pick(0, 9);
    // Few at a time: where everything is watched by everybody, mistakes do not show.
    if (choice < 3 && entries_.size() < most_) {
      expect();
    } else if (choice < 6) {
      admit();
    } else if (choice < 8) {
      forget();
    } else {
      collect();
    }
    std::set<map::ChunkPos> watched;
    for (const Entry& e : entries_)
      for (const map::ChunkPos p : chunks_in(e.chunks)) watched.insert(p);
    ASSERT_EQ(index_.chunk_count(), watched.size());
    ASSERT_EQ(index_.empty(), watched.empty());
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  map::Rect rect(std::int64_t size_max) {
    return map::Rect::of_size(pick(-6, 6), pick(-6, 6), pick(1, size_max), pick(1, size_max));
  }
  proto::Form form() { return pick(0, 1) == 0 ? proto::Form::binary : proto::Form::json; }

  void expect() {
    const Connection connection{static_cast<std::uint32_t>(pick(0, 7)), 1};
    // A connection has one form.
    const proto::Form form = connection.slot % 2 == 0 ? proto::Form::binary : proto::Form::json;
    Entry entry{connection, next_instance_++, form, rect(5), {}, {}};
    const std::int64_t cut = pick(entry.chunks.x0, entry.chunks.x1);  // two shards' parts, one of them maybe empty
    map::Rect left = entry.chunks, right = entry.chunks;
    left.x1 = right.x0 = cut;
    for (const map::Rect& part : {left, right})
      if (!part.empty()) entry.waiting.push_back(part);
    index_.expect(form, entry.chunks);
    entries_.push_back(std::move(entry));
  }
  void admit() {
    if (entries_.empty()) return;
    Entry& entry = entries_[static_cast<std::size_t>(pick(0, std::ssize(entries_) - 1))];
    if (entry.waiting.empty()) return;
    index_.admit(entry.connection, entry.instance, entry.form, entry.waiting.back());
    entry.admitted.push_back(entry.waiting.back());
    entry.waiting.pop_back();
  }
  void forget() {
    if (entries_.empty()) return;
    const auto at = entries_.begin() + pick(0, std::ssize(entries_) - 1);
    const Entry entry = *at;
    entries_.erase(at);
    std::vector<map::ChunkPos> uninteresting, expected;
    index_.forget(entry.connection, entry.instance, entry.form, entry.chunks, uninteresting);
    for (const map::ChunkPos p : chunks_in(entry.chunks)) {
      const bool watched = std::any_of(entries_.begin(), entries_.end(),
                                       [&](const Entry& e) { return e.form == entry.form && holds(e.chunks, p); });
      if (!watched) expected.push_back(p);
    }
    std::sort(uninteresting.begin(), uninteresting.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(uninteresting, expected);
  }
  void collect() {
    std::vector<map::Rect> touched;
    for (std::int64_t n = pick(1, 3); n > 0; --n) touched.push_back(rect(4));
    if (pick(0, 3) == 0) touched.push_back(map::Rect::of_size(-1000, pick(-6, 6), 2000, 1000));  // a huge fill
    const proto::Form form = this->form();
    std::vector<Connection> seen;
    index_.collect(form, touched, seen);
    std::vector<std::uint32_t> slots;
    for (const Connection c : seen) slots.push_back(c.slot);
    std::sort(slots.begin(), slots.end());
    std::set<std::uint32_t> expected;
    for (const Entry& e : entries_)
      for (const map::Rect& part : e.admitted)
        for (const map::Rect& t : touched)
          if (e.form == form && part.intersects(t)) expected.insert(e.connection.slot);
    ASSERT_EQ(slots, std::vector(expected.begin(), expected.end())) << "everybody admitted, once each";
  }

  std::mt19937_64 random_;
  ViewerIndex index_;
  std::vector<Entry> entries_;
  const std::size_t most_;  // entries at once
  std::uint32_t next_instance_ = 1;
};

TEST(ViewerIndex, IsWhatItWasToldInAnyOrder) {
  const std::uint64_t first = std::random_device{}();
  for (std::uint64_t seed = first; seed < first + 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ViewerIndexModel model(seed);
    for (int step = 0; step < 1000 && !testing::Test::HasFatalFailure(); ++step) model.step();
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(ViewerIndex, AViewerIsNamedByItsConnectionOfNow) {
  ViewerIndex index;
  const map::Rect chunk = map::Rect::of_size(0, 0, 1, 1);
  std::vector<map::ChunkPos> off;
  std::vector<Connection> seen;
  index.expect(proto::Form::json, chunk);
  index.admit({5, 1}, 1, proto::Form::json, chunk);
  index.collect(proto::Form::json, {&chunk, 1}, seen);
  EXPECT_EQ(seen, (std::vector<Connection>{{5, 1}}));
  index.forget({5, 1}, 1, proto::Form::json, chunk, off);
  seen.clear();
  index.expect(proto::Form::json, chunk);
  index.admit({5, 2}, 2, proto::Form::json, chunk);  // the slot's next connection
  index.collect(proto::Form::json, {&chunk, 1}, seen);
  EXPECT_EQ(seen, (std::vector<Connection>{{5, 2}}));
}

}  // namespace
}  // namespace terrazzo::session

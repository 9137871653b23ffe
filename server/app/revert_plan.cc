#include "server/app/revert_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "server/app/line_past.h"
#include "server/app/past_reader.h"
#include "server/app/revert_canvas.h"
#include "server/shard/swaps.h"

namespace terrazzo::app {
namespace {

// The edits that the filter finds, over all shards.
class Authors {
 public:
  static constexpr std::size_t kAuthorsMax = std::numeric_limits<std::uint16_t>::max();
  // Edits over shards that are told apart; beyond that each of their parts counts.
  static constexpr std::size_t kEditsMax = 1 << 20;

  Result<std::uint16_t> number_of(UserId user) {
    const auto [found, fresh] = numbers_.try_emplace(user, static_cast<std::uint16_t>(all_.size()));
    if (!fresh) return found->second;
    if (all_.size() == kAuthorsMax) {
      return Error{ErrorCode::too_large, fmt::format("more than {} users made these edits: revert area by area or user "
                                                     "by user",
                                                     kAuthorsMax)};
    }
    all_.push_back({user, {}, 0, 0});
    cells.push_back(0);
    return found->second;
  }
  void count(const shard::LoggedEdit& edit, std::uint16_t author, http::RevertInfo& info) {
    const shard::EditName name{edit.author, edit.edit.id};
    if (edit.coordinated != 0 && seen_.size() < kEditsMax && !seen_.insert(name).second) return;
    ++all_[author].edits;
    ++info.edits;
  }
  void finish(http::RevertInfo& info) {
    for (std::size_t i = 0; i < all_.size(); ++i) all_[i].cells = cells[i];
    std::ranges::stable_sort(all_, [](const auto& a, const auto& b) { return a.cells > b.cells; });
    info.authors = std::move(all_);
  }

  std::vector<std::uint64_t> cells;  // by author

 private:
  std::map<UserId, std::uint16_t> numbers_;
  std::vector<http::RevertInfo::Author> all_;
  std::set<shard::EditName> seen_;
};

// Reads a shard's past twice: first which chunks the edits that are reverted touch, and how far back they go, then what
// happened to those. So memory follows what is reverted, not what others did.
class ShardRevert {
 public:
  ShardRevert(const LinePast& past, const PinsGather::Shard& shard, const http::RevertAsk& ask,
              std::optional<UserId> user)
      : past_(past), shard_(shard), ask_(ask), user_(user), canvas_(ask.area), reader_(shard, ask.area.value_or(map::kPlane)) {}

  Status run(Authors& authors, http::RevertInfo& info, shard::EditRequest& part) {
    Status done = past_.visit(shard_.position, [&](Lsn lsn, std::span<const std::byte> payload) {
      return find(lsn, payload, authors, info);
    });
    if (!done || canvas_.empty()) return done;
    done = past_.visit(shard_.position, [&](Lsn lsn, std::span<const std::byte> payload) {
      return follow(lsn, payload, authors);
    });
    if (!done) return done;
    std::vector<shard::Swap> swaps;
    if (Status counted = canvas_.finish(info, authors.cells, part.arena, swaps); !counted) return counted;
    part.swaps = part.arena.copy(std::span<const shard::Swap>(swaps));
    return {};
  }
  bool used_undo_points() const { return reader_.used_undo_points(); }

 private:
  bool is_reverted(const shard::LoggedEdit& head) const {
    return (!user_ || head.user == *user_) && head.time_us >= ask_.since_us.value_or(0) &&
           (!ask_.until_us || head.time_us < *ask_.until_us);
  }

  template <class Visit>
  void for_each_area(const shard::LoggedEdit& edit, Visit&& visit) const {
    const auto look = [&](map::LayerId layer, const map::Rect& rect) {
      if (ask_.layer.value_or(layer) == layer && rect.intersects(ask_.area.value_or(map::kPlane))) visit(layer, rect);
    };
    for (const map::Op& op : edit.edit.ops) look(op.layer, op.rect);
    if (edit.restore)
      for (const shard::Restore::Area& area : edit.restore->areas) look(area.layer, area.rect);
  }

  Result<bool> find(Lsn lsn, std::span<const std::byte> payload, Authors& authors, http::RevertInfo& info) {
    const auto head = shard::peek_edit(payload);
    if (!head) return head.error();
    // What is older in the log was asked for before, but for the delay.
    if (head->time_us != 0 && head->time_us + kStampDelayUs < ask_.since_us.value_or(0)) return false;
    if (!is_reverted(*head)) return true;
    Arena arena;
    const auto edit = shard::decode_edit(payload, arena);
    if (!edit) return edit.error();
    Status expected;
    bool touches = false;
    for_each_area(*edit, [&](map::LayerId layer, const map::Rect& rect) {
      touches = true;
      if (expected) expected = canvas_.expect(layer, rect);
    });
    if (!expected) return expected.error();
    if (!touches) return true;
    oldest_ = lsn;
    const Result<std::uint16_t> author = authors.number_of(head->user);
    if (!author) return author.error();
    authors.count(*edit, *author, info);
    return true;
  }

  Result<bool> follow(Lsn lsn, std::span<const std::byte> payload, Authors& authors) {
    // What came before all that is reverted changes nothing of it.
    if (lsn < oldest_) return false;
    Arena arena;
    const auto edit = shard::decode_edit(payload, arena);
    if (!edit) return edit.error();
    bool touches = false;
    for_each_area(*edit, [&](map::LayerId layer, const map::Rect& rect) {
      touches = touches || canvas_.concerns(layer, rect);
    });
    if (!touches) return true;
    std::optional<std::uint16_t> author;
    if (is_reverted(*edit)) {
      const Result<std::uint16_t> number = authors.number_of(edit->user);
      if (!number) return number.error();
      author = *number;
    }
    Status taken;
    const Result<bool> known = reader_.read(
        *edit, lsn,
        [&](map::LayerId layer, map::ChunkPos chunk, const shard::ChunkCells& before, const shard::ChunkCells& after) {
          if (taken && ask_.layer.value_or(layer) == layer) taken = canvas_.change(layer, chunk, before, after, author);
        });
    if (!known) return known.error();
    if (!taken) return taken.error();
    if (!*known)
      for_each_area(*edit, [&](map::LayerId layer, const map::Rect& rect) {
        canvas_.forget(layer, rect, author.has_value());
      });
    return true;
  }

  const LinePast& past_;
  const PinsGather::Shard& shard_;
  const http::RevertAsk& ask_;
  const std::optional<UserId> user_;
  RevertCanvas canvas_;
  PastReader reader_;
  Lsn oldest_{std::numeric_limits<std::uint64_t>::max()};  // of the edits that are reverted
};

Error too_many_bytes(std::size_t bytes) {
  return {ErrorCode::too_large,
          fmt::format("this revert changes so many different cells that it would take {} MiB of log; at most {}: revert "
                      "area by area ({{\"area\": [x, y, width, height]}})",
                      bytes >> 20, shard::kSwapBytesMax >> 20)};
}

}  // namespace

Result<RevertPlan> plan_revert(const io::DataDirectory& data, const PinsGather& now, const http::RevertAsk& ask,
                               std::optional<UserId> user) {
  const WorldId line = now.states.front().line;
  const Result<LinePast> past = LinePast::open(data, line, ask.area);
  if (!past) return past.error();
  RevertPlan plan;
  plan.preview = ask.preview;
  Authors authors;
  std::size_t bytes = 0;
  for (const map::ShardPos position : past->shards()) {
    const auto shard = std::ranges::find(now.found, position, &PinsGather::Shard::position);
    if (shard == now.found.end()) continue;  // made since
    auto part = std::make_unique<shard::EditRequest>();
    part->shard = {line, position};
    ShardRevert revert(*past, *shard, ask, user);
    if (const Status read = revert.run(authors, plan.info, *part); !read) return read.error();
    plan.used_undo_points = plan.used_undo_points || revert.used_undo_points();
    bytes += shard::bytes_of(part->swaps);
    if (bytes > shard::kSwapBytesMax && !ask.preview) return too_many_bytes(bytes);
    if (!part->swaps.empty() && !ask.preview) plan.parts.push_back(std::move(part));
  }
  authors.finish(plan.info);
  return plan;
}

}  // namespace terrazzo::app

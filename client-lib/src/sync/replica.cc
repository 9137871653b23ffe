#include "client-lib/src/sync/replica.h"

#include <algorithm>
#include <utility>

#include "client-lib/src/sync/derived_draft.h"
#include "map/chunk_codec.h"

namespace terrazzo::client {

template <class Visit>
void Replica::for_each_touched(std::span<const map::Op> ops, Visit&& visit) {
  for (const map::Op& op : ops)
    cache_.for_each_in(op.layer, map::chunks_of(op.rect), [&](CachedChunk& chunk) { visit(op, chunk); });
}

template <class Visit>
void Replica::for_each_covered(const Coverage& coverage, Visit&& visit) {
  for (const map::LayerId layer : coverage.layers) {
    for (std::int64_t y = coverage.chunks.y0; y < coverage.chunks.y1; ++y) {
      for (std::int64_t x = coverage.chunks.x0; x < coverage.chunks.x1; ++x) {
        CachedChunk& chunk = cache_.obtain({layer, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}});
        cache_.set_covered(chunk, true);
        visit(chunk);
      }
    }
  }
}

// ---- the server's stream ----

Status Replica::chunk(const proto::Chunk& message) {
  CellBlock cells;
  if (message.fill) {
    cells.fill(*message.fill);
  } else if (!message.coded.empty()) {
    if (const Status decoded = map::decode_chunk(message.coded, cells.writable()); !decoded) return decoded;
  } else if (message.cells.size() == map::kChunkCells) {
    cells.assign(message.cells.first<map::kChunkCells>());
  } else {
    return Error{ErrorCode::bad_message, "a chunk has a fill, or coded cells, or 1024 cells; this one has " +
                                             std::to_string(message.cells.size())};
  }
  const ChunkKey key{message.layer, message.chunk};
  if (!subscriptions_.streams(key)) return {};  // nobody asked
  CachedChunk& chunk = cache_.obtain(key);
  cache_.set_covered(chunk, true);
  chunk.confirmed = std::move(cells);
  chunk.revision = message.revision;
  chunk.present = chunk.known = true;
  // A refresh sends what is asked for and not answered, too: the edits after it need not come before the answer does.
  chunk.freshness = subscriptions_.in_force(key) ? Freshness::live : Freshness::awaited;
  chunk.late.clear();  // they came before this state on the same connection, so it contains them
  chunk.shown_outdated = true;
  return {};
}

std::vector<Area> Replica::applied(const proto::Applied& message) {
  passed(message.shard, message.lsn);
  std::vector<Area> areas;
  std::shared_ptr<const LateEdit> late;
  touched_.clear();
  for (const map::Op& op : message.ops) {
    bool changed = false;
    cache_.for_each_in(op.layer, map::chunks_of(op.rect), [&](CachedChunk& chunk) {
      if (chunk.freshness == Freshness::live && chunk.revision < message.lsn) {
        chunk.confirmed.apply(op, chunk.key.chunk);
        touched_.push_back(&chunk);
        changed = true;
      } else if (chunk.freshness == Freshness::awaited) {
        if (!late) {
          EditDraft ops;
          for (const map::Op& o : message.ops) ops.add(o);
          late = std::make_shared<const LateEdit>(LateEdit{message.lsn, std::move(ops)});
        }
        if (chunk.late.empty() || chunk.late.back() != late) chunk.late.push_back(late);
      }
    });
    if (changed) areas.push_back({op.layer, op.rect});
  }
  // Only now: an edit's second op on a chunk counts as much as its first.
  for (CachedChunk* chunk : touched_) {
    chunk->revision = message.lsn;
    chunk->shown_outdated = true;
  }
  return areas;
}

void Replica::go_live(CachedChunk& chunk) {
  if (chunk.freshness == Freshness::live) return;
  if (!chunk.known) {  // neither named as known nor sent: nothing was ever written there
    chunk.confirmed.fill(map::Cell{});
    chunk.revision = Lsn{0};
    chunk.present = chunk.known = true;
  }
  chunk.freshness = Freshness::live;
  for (const std::shared_ptr<const LateEdit>& late : std::exchange(chunk.late, {})) {
    if (late->lsn <= chunk.revision) continue;
    for (const map::Op& op : late->ops.ops())
      if (op.layer == chunk.key.layer) chunk.confirmed.apply(op, chunk.key.chunk);
    chunk.revision = late->lsn;
  }
  chunk.shown_outdated = true;
}

void Replica::subscribed(Subscription& subscription, std::span<const proto::ShardMark> marks) {
  TZ_ASSERT(subscription.in_flight.has_value());
  const std::optional<Coverage> old = std::exchange(subscription.current, std::exchange(subscription.in_flight, {}));
  const Coverage& now = *subscription.current;
  for_each_covered(now, [&](CachedChunk& chunk) { go_live(chunk); });
  for (const proto::ShardMark& mark : marks) passed(mark.shard, mark.lsn);
  if (old) coverage_changed(*old);
}

void Replica::durable(map::ShardPos shard, Lsn lsn) {
  Lsn& mark = durable_[shard];
  mark = std::max(mark, lsn);
}

void Replica::durable_mark(map::ShardPos shard, Lsn lsn) {
  durable(shard, lsn);
  passed(shard, lsn);
}

bool Replica::is_durable(map::ShardPos shard, Lsn lsn) const {
  const auto mark = durable_.find(shard);
  return mark != durable_.end() && lsn <= mark->second;
}

void Replica::passed(map::ShardPos shard, Lsn lsn) {
  Lsn& mark = passed_[shard];
  mark = std::max(mark, lsn);
}

// ---- connections ----

void Replica::disconnected() {
  passed_.clear();
  behind_.clear();
  cache_.for_each([](CachedChunk& chunk) {
    chunk.freshness = Freshness::stale;
    chunk.late.clear();
  });
}

void Replica::incarnation_changed() {
  cache_.for_each([&](CachedChunk& chunk) {
    if (!is_durable(map::shard_of(chunk.key.chunk), chunk.revision)) chunk.known = false;
  });
}

void Replica::world_replaced() {
  passed_.clear();
  durable_.clear();
  behind_.clear();
  cache_.for_each([](CachedChunk& chunk) {
    chunk.present = chunk.known = false;
    chunk.shown_outdated = true;
  });
}

// ---- subscriptions ----

std::vector<proto::KnownChunk> Replica::await(const Coverage& coverage) {
  std::vector<proto::KnownChunk> known;
  for_each_covered(coverage, [&](CachedChunk& chunk) {
    if (chunk.freshness == Freshness::stale) chunk.freshness = Freshness::awaited;
    // What has edits waiting in `late` is still known as of its revision.
    if (chunk.known) known.push_back({chunk.key.layer, chunk.key.chunk, chunk.revision});
  });
  return known;
}

void Replica::coverage_changed(const Coverage& coverage) {
  // Collected first: refreshing may evict.
  std::vector<ChunkKey> keys;
  for (const map::LayerId layer : coverage.layers)
    cache_.for_each_in(layer, coverage.chunks, [&](CachedChunk& chunk) { keys.push_back(chunk.key); });
  for (const ChunkKey& key : keys)
    if (CachedChunk* chunk = cache_.find(key)) refresh_coverage(*chunk);
}

void Replica::refresh_coverage(CachedChunk& chunk) {
  if (!subscriptions_.in_force(chunk.key)) {
    // What a request on its way covers may miss edits until its answer is complete; those that come wait for it.
    if (!subscriptions_.in_flight(chunk.key)) {
      chunk.freshness = Freshness::stale;
      chunk.late.clear();
    } else if (chunk.freshness == Freshness::live) {
      chunk.freshness = Freshness::awaited;
    }
  }
  cache_.set_covered(chunk, subscriptions_.covers(chunk.key));
}

// ---- own edits ----

EditDraft Replica::guess(std::span<const map::Op> ops) {
  return derived_draft(ops, [&](map::LayerId layer, map::ChunkPos chunk) { return shown_cells({layer, chunk}); });
}

void Replica::overlay_changed(const HeldEdit& edit) {
  for_each_touched(edit.shown_ops(), [](const map::Op&, CachedChunk& chunk) { chunk.shown_outdated = true; });
}

void Replica::placed(HeldEdit& edit, map::ShardPos shard, Lsn lsn) {
  HeldEdit::Part* part = edit.part(shard);
  if (part == nullptr || lsn.value == 0) return;
  if (part->shown && part->lsn.value == 0) ++placed_and_shown_;
  part->lsn = lsn;
}

bool Replica::settled(const HeldEdit& edit, const HeldEdit::Part& part) const {
  const auto passed = passed_.find(part.shard);
  const auto behind = behind_.find(part.shard);
  const bool contained = behind == behind_.end() || part.lsn < behind->second;
  if (passed != passed_.end() && part.lsn <= passed->second && contained) return true;
  // Where no subscription touches it, no stream will ever tell.
  const map::Rect shard = map::cells_of(part.shard);
  return std::ranges::none_of(edit.draft.ops(), [&](const map::Op& op) {
    return subscriptions_.sees_any(map::chunks_of(op.rect.intersect(shard)));
  });
}

bool Replica::settle() {
  if (placed_and_shown_ == 0) return false;
  bool any = false;
  for (auto& [id, edit] : held_.table()) {
    for (HeldEdit::Part& part : edit.parts) {
      if (!part.shown || part.lsn.value == 0 || !settled(edit, part)) continue;
      part.shown = false;
      --placed_and_shown_;
      any = true;
      overlay_changed(edit);
    }
  }
  return any;
}

void Replica::unplace(HeldEdit& edit) {
  for (HeldEdit::Part& part : edit.parts) {
    if (part.shown && part.lsn.value != 0) --placed_and_shown_;
    part.lsn = Lsn{};
    part.shown = true;
  }
  overlay_changed(edit);
}

void Replica::forget(const HeldEdit& edit) {
  for (const HeldEdit::Part& part : edit.parts)
    if (part.shown && part.lsn.value != 0) --placed_and_shown_;
  overlay_changed(edit);
}

// ---- reads ----

void Replica::show(CachedChunk& chunk) {
  chunk.shown_outdated = false;
  chunk.shown.reset();
  const map::Rect cells = map::cells_of(chunk.key.chunk);
  const map::ShardPos shard = map::shard_of(chunk.key.chunk);
  for (const auto& [id, edit] : held_.table()) {
    if (!edit.bounds.intersects(cells) || !edit.shown_in(shard)) continue;
    for (const map::Op& op : edit.shown_ops()) {
      if (op.layer != chunk.key.layer || !op.rect.intersects(cells)) continue;
      if (!chunk.shown) {
        chunk.shown = std::make_unique<CellBlock>();
        chunk.shown->assign(chunk.confirmed);
      }
      chunk.shown->apply(op, chunk.key.chunk);
    }
  }
}

const CellBlock* Replica::block(const ChunkKey& key, bool optimistic) {
  CachedChunk* chunk = cache_.find(key);
  if (chunk == nullptr || !chunk->present) return nullptr;
  cache_.touch(*chunk);
  if (!optimistic) return &chunk->confirmed;
  if (chunk->shown_outdated) show(*chunk);
  return chunk->shown ? chunk->shown.get() : &chunk->confirmed;
}

std::optional<map::Cell> Replica::read(map::LayerId layer, map::CellPos position, bool optimistic) {
  const CellBlock* cells = block({layer, map::chunk_of(position)}, optimistic);
  if (cells == nullptr) return std::nullopt;
  return cells->at(map::index_in_chunk(position));
}

map::ChunkCells Replica::shown_cells(const ChunkKey& key) {
  const CellBlock* const cells = block(key, true);
  if (cells == nullptr) return {nullptr, {}, false};
  if (cells->uniform()) return {nullptr, cells->at(0)};
  return {cells->cells().data(), {}};
}

std::optional<Lsn> Replica::revision(const ChunkKey& key) {
  const CachedChunk* chunk = cache_.find(key);
  if (chunk == nullptr || !chunk->present) return std::nullopt;
  return chunk->revision;
}

}  // namespace terrazzo::client

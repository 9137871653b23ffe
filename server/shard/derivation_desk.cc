#include "server/shard/derivation_desk.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/shard/derived_ops.h"

namespace terrazzo::shard {
namespace {

template <class Visit>
void for_each_shard(const map::Rect& cells, Visit&& visit) {
  const map::Rect shards = map::shards_of(cells);
  for (std::int64_t y = shards.y0; y < shards.y1; ++y)
    for (std::int64_t x = shards.x0; x < shards.x1; ++x) {
      const map::ShardPos position{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
      visit(position, cells.intersect(map::cells_of(position)));
    }
}

// Rows of `part`, which lies in both, from one rectangle of cells into another.
void copy_rows(const map::Rect& part, const map::Rect& from, std::span<const map::Cell> source, const map::Rect& to,
               std::span<map::Cell> target) {
  for (std::int64_t y = part.y0; y < part.y1; ++y)
    std::copy_n(source.data() + (y - from.y0) * from.width() + (part.x0 - from.x0), part.width(),
                target.data() + (y - to.y0) * to.width() + (part.x0 - to.x0));
}

// The chunks of a rectangle of cells; what lies outside of it is empty.
class ReadCells {
 public:
  ReadCells(const map::Rect& rect, std::span<const map::Cell> cells) : rect_(rect), cells_(cells) {}
  map::ChunkCells operator()(map::ChunkPos chunk) {
    const map::Rect whole = map::cells_of(chunk);
    chunk_.fill({});
    copy_rows(rect_.intersect(whole), rect_, cells_, whole, chunk_);
    return {chunk_.data(), {}, true};
  }

 private:
  const map::Rect rect_;
  const std::span<const map::Cell> cells_;
  std::array<map::Cell, map::kChunkCells> chunk_;
};

struct Parts final : FloodParts {
  struct Part {
    std::unique_ptr<EditRequest> request;
    std::vector<Swap> swaps;
  };
  Part& of(map::ShardPos position) {
    return *std::ranges::find_if(all, [&](const Part& part) { return part.request->shard.position == position; });
  }
  Arena& arena_of(map::ChunkPos chunk) override { return of(map::shard_of(chunk)).request->arena; }
  std::vector<Swap>& out_of(map::ChunkPos chunk) override { return of(map::shard_of(chunk)).swaps; }
  std::vector<Part> all;
};

}  // namespace

void DerivationDesk::ask(std::unique_ptr<CoordinatedRequest> request, DerivationOutput& out) {
  if (running_.size() == kRunningMax) return queue_.push_back(std::move(request));
  start(std::move(request), out);
}

void DerivationDesk::start(std::unique_ptr<CoordinatedRequest> request, DerivationOutput& out) {
  const map::Op& op = *request->derived;
  const std::uint64_t ticket = next_ticket_++;
  Running& running = running_[ticket];
  running.layer = op.kind == map::OpKind::copy ? op.source_layer : op.layer;
  running.rect = op.kind == map::OpKind::copy ? map::source_of(op) : op.rect;
  running.missing = map::shards_of(running.rect).area();
  running.request = std::move(request);
  running.cells.resize(running.rect.area());
  for_each_shard(running.rect, [&](map::ShardPos position, const map::Rect& part) {
    auto ask = std::make_unique<CellsRequest>();
    ask->shard = {running.request->world, position};
    ask->asked_by = self_;
    ask->ticket = ticket;
    ask->layer = running.layer;
    ask->rect = part;
    out.read(std::move(ask));
  });
}

void DerivationDesk::cells(std::unique_ptr<CellsRequest> answer, DerivationOutput& out) {
  const auto found = running_.find(answer->ticket);
  if (found == running_.end()) return;
  Running& running = found->second;
  if (answer->error) {
    running.error = std::move(answer->error);
  } else {
    copy_rows(answer->rect, answer->rect, answer->cells, running.rect, running.cells);
  }
  if (--running.missing != 0) return;
  finish(running, out);
  running_.erase(found);
  if (queue_.empty()) return;
  std::unique_ptr<CoordinatedRequest> next = std::move(queue_.front());
  queue_.pop_front();
  start(std::move(next), out);
}

void DerivationDesk::finish(Running& running, DerivationOutput& out) {
  CoordinatedRequest& request = *running.request;
  if (running.error) {
    EditOutcome refused;
    refused.origin = request.origin;
    refused.world = request.world;
    refused.edit = request.id;
    refused.stage = EditOutcome::Stage::rejected;
    refused.error = std::move(running.error);
    return out.outcome(std::move(refused));
  }
  const map::Op op = *std::exchange(request.derived, {});
  ReadCells cells(running.rect, running.cells);
  const map::ReadChunk read = [&](map::LayerId, map::ChunkPos chunk) { return cells(chunk); };
  Parts parts;
  for_each_shard(op.rect, [&](map::ShardPos position, const map::Rect& area) {
    auto part = std::make_unique<EditRequest>();
    part->shard = {request.world, position};
    part->origin = request.origin;
    part->edit.id = request.id;
    part->edit.ack = request.ack;
    part->time_us = request.time_us;
    if (op.kind == map::OpKind::copy) {
      std::vector<map::Op> ops;
      add_copied(op, area, read, part->arena, ops);
      part->edit.ops = part->arena.copy(std::span<const map::Op>(ops));
    }
    parts.all.push_back({std::move(part), {}});
  });
  if (op.kind == map::OpKind::flood) add_flooded(op, read, parts);
  for (Parts::Part& part : parts.all) {
    part.request->swaps = part.request->arena.copy(std::span<const Swap>(part.swaps));
    request.parts.push_back(std::move(part.request));
  }
  out.derived(std::move(running.request));
}

}  // namespace terrazzo::shard

// Moving shards between cores: what the protocol (shard_mover.h) makes this core do, and who asks for it.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

#include "map/coords.h"
#include "server/app/core_services.h"
#include "server/runtime/clock.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {

void CoreServices::deliver_move(const runtime::MeshMessage& message) {
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::move: {
      // Begins behind what came for the shard before, and with an open file.
      const auto& note = boxed_in<MoveNote>(message);
      if (note.step == MoveNote::Step::start) return lobby_.admit(note.shard, message);
      return mover_.take(std::move(*unboxed<MoveNote>(message)), runtime::monotonic_ns());
    }
    case MeshKind::move_ask: {
      const auto ask = std::make_shared<std::unique_ptr<MoveAsk>>(unboxed<MoveAsk>(message));
      const WorldId world = (*ask)->shard.world;
      return desk(world).exclusively([this, ask, world] {
        moves_[world] = std::move(*ask);
        begin_move(world);
      });
    }
    case MeshKind::move_answer: {
      const auto answer = unboxed<MoveAsk>(message);
      return answer->done(std::move(answer->result));
    }
    case MeshKind::log_covered: {
      const auto covered = unboxed<LogCovered>(message);
      std::erase_if(log_debts_, [&](const LogDebt& debt) {
        return debt.shard == covered->shard && debt.until < covered->checkpoint;
      });
      return forget_log();
    }
    case MeshKind::loads:
      return gather_loads(unboxed<LoadGather>(message));
    default:
      TZ_ASSERT(false);
  }
}

// ---- who asked ----

void CoreServices::move_shard(WorldId world, map::ShardPos shard, unsigned to, MoveDone done) {
  world = main_world(world);  // its branches go with it
  const std::shared_ptr<const map::World> found = node_.worlds.find(world);
  if (!found || map::cells_of(shard).intersect(found->area()).empty()) {
    return done(Error{ErrorCode::not_found, "shard " + std::to_string(shard.x) + "," + std::to_string(shard.y) +
                                                " is outside the world: a shard is 8192×8192 cells, and 0,0 begins at "
                                                "cell 0,0"});
  }
  if (to >= static_cast<unsigned>(node_.cores)) {
    return done(Error{ErrorCode::not_found, "there is no core " + std::to_string(to) + ": this server has cores 0 to " +
                                                std::to_string(node_.cores - 1)});
  }
  MoveAsk ask{{world, shard}, static_cast<shard::CoreId>(to), self_, http::MovedShard{}, std::move(done)};
  post(shard::coordinator_core(world, node_.cores), boxed(MeshKind::move_ask, std::move(ask)));
}

void CoreServices::begin_move(WorldId world) {
  const MoveAsk& ask = *moves_.at(world);
  // Counted before the look: whoever has seen that all cores drain finds this move, or it is refused.
  node_.moves_running.fetch_add(1);
  const shard::CoreId from = owners_.owner(ask.shard);
  if (from == ask.to) return end_move(world, http::MovedShard{from, from, 0});
  if (node_.draining.load()) return end_move(world, Error{ErrorCode::overloaded, "the server is stopping"});
  MoveNote start;
  start.shard = ask.shard;
  start.from = from;
  start.to = ask.to;
  start.asked_by = self_;
  post(from, std::move(start));
}

void CoreServices::moved(const MoveNote& done) {
  if (done.error) return end_move(done.shard.world, *done.error);
  end_move(done.shard.world, http::MovedShard{done.from, done.to, done.parked_ns});
}

void CoreServices::end_move(WorldId world, Result<http::MovedShard> result) {
  const auto ended = moves_.extract(world);
  std::unique_ptr<MoveAsk> ask = std::move(ended.mapped());
  node_.moves_running.fetch_sub(1);
  ask->result = std::move(result);
  const shard::CoreId asked_by = ask->asked_by;
  post(asked_by, boxed(MeshKind::move_answer, std::move(ask)));
  desk(world).release();
}

// ---- loads ----

void CoreServices::ask_loads(std::function<void(const std::vector<CoreLoad>&)> done) {
  LoadGather gather{self_, static_cast<unsigned>(node_.cores), {}, std::move(done)};
  post(self_, boxed(MeshKind::loads, std::move(gather)));
}

void CoreServices::gather_loads(std::unique_ptr<LoadGather> gather) {
  if (gather->missing == 0) return gather->done(gather->cores);
  gather->cores.push_back(load_.sample(shards_, ticks_.busy_ns.sum(), runtime::monotonic_ns()));
  --gather->missing;
  const auto next = gather->missing == 0 ? gather->asked_by : (self_ + 1u) % static_cast<unsigned>(node_.cores);
  post(static_cast<shard::CoreId>(next), boxed(MeshKind::loads, std::move(gather)));
}

void CoreServices::cores(CoresDone done) {
  ask_loads([done = std::move(done)](std::vector<CoreLoad> loads) {
    std::ranges::sort(loads, {}, &CoreLoad::core);
    std::vector<http::CoreInfo> cores;
    for (const CoreLoad& load : loads) {
      http::CoreInfo& core = cores.emplace_back(http::CoreInfo{load.core, load.busy, {}});
      for (const ShardLoad& shard : load.shards)
        core.shards.push_back({shard.shard.world, shard.shard.position, shard.work_per_s});
    }
    done(cores);
  });
}

void CoreServices::balance(std::uint64_t now_ns) {
  constexpr std::uint64_t kEveryNs = 1'000'000'000;
  next_balance_ns_ = now_ns + kEveryNs;
  if (drain_began_ns_ != 0) return;
  ask_loads([this](const std::vector<CoreLoad>& loads) {
    const std::optional<Balancer::Move> move = balancer_.decide(loads, runtime::monotonic_ns());
    if (!move) return;
    const map::ShardPos at = move->shard.position;
    move_shard(move->shard.world, at, move->to, [at, from = move->from, to = move->to](Result<http::MovedShard> moved) {
      if (moved) {
        spdlog::info("core {} was busy: shard {},{} is on core {} now", from, at.x, at.y, to);
      } else {
        spdlog::warn("core {} is busy, but shard {},{} stays: {}", from, at.x, at.y, moved.error().message);
      }
    });
  });
}

// ---- ShardMoverOutput ----

void CoreServices::post(shard::CoreId to, MoveNote note) {
  post(to, boxed(MeshKind::move, std::move(note)));
}

void CoreServices::route(const shard::ShardKey& shard, shard::CoreId to) {
  owners_.set(shard, to);
}

bool CoreServices::has_parked(const shard::ShardKey& shard) const {
  return std::ranges::any_of(parked_, [&](const auto& part) { return main_key(part->shard) == shard; });
}

bool CoreServices::settle(const shard::ShardKey& shard, std::uint64_t now_ns) {
  ShardSlot& slot = *shards_.find(shard);
  if (!slot.leaving) {
    // What is due would otherwise be put off by each move anew. While the disk is full, messages would wait for it.
    if (CheckpointDriver::is_due(slot, now_ns) || log_.overloaded() || has_parked(shard)) return false;
    slot.leaving = true;
  }
  return !checkpoints_.is_at(slot);
}

void CoreServices::stay(const shard::ShardKey& shard) {
  shards_.find(shard)->leaving = false;
}

bool CoreServices::quiet(const shard::ShardKey& shard) {
  const ShardSlot& slot = *shards_.find(shard);
  // What a log that failed has not made durable, nobody will be told of: the shard is read-only.
  return !slot.in_line && slot.page_jobs == 0 && (!slot.waiting || log_.failed()) && !has_parked(shard);
}

std::unique_ptr<ShardSlot> CoreServices::give_up(const shard::ShardKey& shard) {
  std::unique_ptr<ShardSlot> slot = shards_.release(shard);
  // The log may have failed in this tick, and its shards have not been told. What of the shard is in no log must not
  // get a root on the new core either.
  if (log_.failed()) {
    slot->shard->read_only(LogDriver::failure());
    slot->no_checkpoints = true;
  }
  std::erase(waiting_, slot.get());
  memory_.forget(*slot);
  if (slot->logged > slot->covered) {
    const std::uint64_t until = slot->shard->store()->generation();
    log_debts_.push_back({shard, until, slot->covered + 1});
    const auto before = std::ranges::find(slot->owed, self_, &LogOwed::core);
    if (before == slot->owed.end()) {
      slot->owed.push_back({self_, until});
    } else {
      before->until = until;
    }
  }
  return slot;
}

Status CoreServices::expect(const shard::ShardKey& shard) {
  if (log_.failed()) {
    return Error{ErrorCode::read_only, "the write-ahead log of core " + std::to_string(self_) +
                                           " failed, so it takes no more shards; restart the server"};
  }
  lobby_.expect(shard);
  return {};
}

void CoreServices::take(const shard::ShardKey& shard, std::unique_ptr<ShardSlot> slot) {
  slot->leaving = slot->waiting = false;
  // Nothing of it in this core's log so far but what log_debts_ has.
  slot->logged = slot->covered = log_.appended_sequence();
  ShardSlot& here = *shards_.install(shard, std::move(slot));
  if (log_.failed()) here.shard->read_only(LogDriver::failure());
  // What the old core has not seen yet, and what this one last looked at without the shard.
  if (here.file && here.file->faulted()) find_faulted_shards();
  somebody_reads_ = somebody_reads_ || here.publisher;
  somebody_read_ = somebody_read_ || here.publisher;
  lobby_.arrived(shard, here);
}

void CoreServices::tell_covered(ShardSlot& slot) {
  const storage::ShardStore* const store = slot.shard->store();
  if (store == nullptr) return;
  const std::uint64_t durable = store->generation();
  std::erase_if(slot.owed, [&](const LogOwed& owed) {
    if (owed.until >= durable) return false;
    post(owed.core, boxed(MeshKind::log_covered, LogCovered{slot.shard->key(), durable}));
    return true;
  });
}

}  // namespace terrazzo::app

#include "server/app/shard_mover.h"

#include <string>
#include <utility>

#include "base/assert.h"

namespace terrazzo::app {
namespace {

std::string core_name(shard::CoreId core) {
  return "core " + std::to_string(core);
}

}  // namespace

MoveNote ShardMover::note(MoveNote::Step step, const shard::ShardKey& shard, const Leaving& leaving) const {
  MoveNote made;
  made.step = step;
  made.shard = shard;
  made.from = self_;
  made.to = leaving.to;
  made.asked_by = leaving.asked_by;
  made.flipped_ns = leaving.flipped_ns;
  return made;
}

void ShardMover::take(MoveNote note, std::uint64_t now_ns) {
  switch (note.step) {
    case MoveNote::Step::start:
      return start(note, now_ns);
    case MoveNote::Step::expect: {
      if (const Status expected = out_.expect(note.shard); !expected) note.error = expected.error();
      // All but this one: what the old owner said to it lies before the shard in the same ring.
      if (!note.error) arriving_[note.shard].missing = cores_ - 1;
      note.step = MoveNote::Step::expecting;
      return out_.post(note.from, std::move(note));
    }
    case MoveNote::Step::expecting:
      return expecting(note, now_ns);
    case MoveNote::Step::flip:
      out_.route(note.shard, note.to);
      note.step = MoveNote::Step::flipped;
      return out_.post(note.from, std::move(note));
    case MoveNote::Step::flipped: {
      Leaving& leaving = leaving_.at(note.shard);
      if (--leaving.missing == 0) leaving.stage = Leaving::Stage::draining;
      return;
    }
    case MoveNote::Step::handover: {
      const shard::ShardKey shard = note.shard;
      arriving_.at(shard).handover = std::move(note);
      return arrive(shard, now_ns);
    }
    case MoveNote::Step::last:
      note.step = MoveNote::Step::heard;
      return out_.post(note.to, std::move(note));
    case MoveNote::Step::heard:
      --arriving_.at(note.shard).missing;
      return arrive(note.shard, now_ns);
    case MoveNote::Step::done:
      return out_.moved(note);
  }
}

// ---- old owner ----

void ShardMover::start(const MoveNote& note, std::uint64_t now_ns) {
  const auto [leaving, is_new] = leaving_.try_emplace(note.shard);
  TZ_ASSERT(is_new);  // one move of a world at a time
  leaving->second.to = note.to;
  leaving->second.asked_by = note.asked_by;
  leaving->second.began_ns = now_ns;
}

void ShardMover::refuse(LeavingOnes::iterator leaving, const Error& why) {
  MoveNote refused = note(MoveNote::Step::done, leaving->first, leaving->second);
  refused.error = why;
  out_.stay(leaving->first);
  leaving_.erase(leaving);
  const shard::CoreId asked_by = refused.asked_by;
  out_.post(asked_by, std::move(refused));
}

void ShardMover::expecting(const MoveNote& answer, std::uint64_t now_ns) {
  const auto found = leaving_.find(answer.shard);
  TZ_ASSERT(found != leaving_.end() && found->second.stage == Leaving::Stage::announced);
  if (answer.error) return refuse(found, *answer.error);
  Leaving& leaving = found->second;
  leaving.stage = Leaving::Stage::flipping;
  leaving.missing = cores_;
  leaving.flipped_ns = now_ns;
  for (int core = 0; core < cores_; ++core)
    out_.post(static_cast<shard::CoreId>(core), note(MoveNote::Step::flip, answer.shard, leaving));
}

void ShardMover::advance(std::uint64_t now_ns) {
  for (auto at = leaving_.begin(); at != leaving_.end();) {
    const auto current = at++;
    Leaving& leaving = current->second;
    if (leaving.stage == Leaving::Stage::settling) {
      if (out_.settle(current->first, now_ns)) {
        leaving.stage = Leaving::Stage::announced;
        out_.post(leaving.to, note(MoveNote::Step::expect, current->first, leaving));
      } else if (now_ns - leaving.began_ns >= kSettleNs) {
        refuse(current, {ErrorCode::overloaded, "the shard stays on " + core_name(self_) +
                                                    ": a checkpoint of it or a full disk keeps it there; try again"});
      }
    } else if (leaving.stage == Leaving::Stage::draining && out_.quiet(current->first)) {
      hand_over(current->first, leaving);
      leaving_.erase(current);
    }
  }
}

void ShardMover::hand_over(const shard::ShardKey& shard, const Leaving& leaving) {
  MoveNote handover = note(MoveNote::Step::handover, shard, leaving);
  handover.slot = out_.give_up(shard);
  out_.post(leaving.to, std::move(handover));
  for (int core = 0; core < cores_; ++core)
    if (core != leaving.to) out_.post(static_cast<shard::CoreId>(core), note(MoveNote::Step::last, shard, leaving));
  ++given_;
}

// ---- new owner ----

void ShardMover::arrive(const shard::ShardKey& shard, std::uint64_t now_ns) {
  const auto found = arriving_.find(shard);
  TZ_ASSERT(found->second.missing >= 0);
  if (found->second.missing != 0 || !found->second.handover.slot) return;
  MoveNote done = std::move(found->second.handover);
  arriving_.erase(found);
  done.step = MoveNote::Step::done;
  done.parked_ns = now_ns - done.flipped_ns;
  ++taken_;
  parked_ns_ += done.parked_ns;
  out_.take(shard, std::move(done.slot));
  const shard::CoreId asked_by = done.asked_by;
  out_.post(asked_by, std::move(done));
}

}  // namespace terrazzo::app

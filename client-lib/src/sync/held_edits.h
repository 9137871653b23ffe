#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "map/edit.h"
#include "terrazzo/edit_draft.h"

namespace terrazzo::client {

// The most shards one edit may touch: the server's bound (PROTOCOL.md, ED), checked here so that its parts can be
// listed.
inline constexpr std::uint64_t kShardsPerEditMax = 1024;

// One own edit from the moment it is made until nothing can happen to it any more: durable (or rejected), and contained
// in the confirmed state of every chunk it touches that this client follows.
struct HeldEdit {
  // What became of it in one shard. `lsn` is its place in that shard's order, 0 while unknown; it is shown on top of
  // the confirmed state until that contains it.
  struct Part {
    map::ShardPos shard;
    Lsn lsn;
    bool shown = true;
  };

  EditId id;
  map::AckMode ack = map::AckMode::durable;
  EditDraft draft;
  // Of copies and floods: what they do as far as this client could say when it made the edit. What the server says
  // takes its place, so that it need not be right.
  std::optional<EditDraft> guess;
  map::Rect bounds;  // cells, of all ops
  std::vector<Part> parts;
  bool sent = false;  // on this connection
  bool ever_sent = false;
  bool acknowledged = false;
  bool applied_told = false;  // the program knows
  bool durable = false;       // nothing to wait for (or nothing more to be learnt)

  std::span<const map::Op> shown_ops() const { return guess ? guess->ops() : draft.ops(); }
  Part* part(map::ShardPos shard) {
    for (Part& p : parts)
      if (p.shard == shard) return &p;
    return nullptr;
  }
  bool shown_in(map::ShardPos shard) const {
    for (const Part& p : parts)
      if (p.shard == shard) return p.shown;
    return false;
  }
  bool shown() const {
    for (const Part& p : parts)
      if (p.shown) return true;
    return false;
  }
  bool placed() const {
    for (const Part& p : parts)
      if (p.lsn.value == 0) return false;
    return true;
  }
};

// Own edits by id, which is the order of their making, and what became of those that are gone.
class HeldEdits {
 public:
  // too_large: more than kShardsPerEditMax shards. The ops are checked already.
  Result<HeldEdit*> add(EditDraft draft, map::AckMode ack);
  // For an undo, which is held elsewhere.
  EditId take_id() { return last_ = EditId{last_.value + 1}; }
  HeldEdit* find(EditId id);
  std::map<EditId, HeldEdit>& table() { return table_; }
  const std::map<EditId, HeldEdit>& table() const { return table_; }

  void erase(EditId id) { table_.erase(id); }
  // Gone without having been durable: the program chose AckMode::applied and sees nothing of these shards.
  void erase_applied_only(EditId id);
  void erase_rejected(EditId id, const Error& error);

  bool is_applied(EditId id) const;
  bool is_durable(EditId id) const;
  std::optional<Error> rejection(EditId id) const;
  EditId last() const { return last_; }

 private:
  // Ids as runs [first, last]: neighbours mostly share their fate.
  class IdRuns {
   public:
    void insert(EditId id);
    bool contains(EditId id) const;

   private:
    std::map<EditId, EditId> runs_;
  };

  EditId last_;
  std::map<EditId, HeldEdit> table_;
  IdRuns rejected_, applied_only_;
  std::map<EditId, Error> newest_rejections_;
};

}  // namespace terrazzo::client

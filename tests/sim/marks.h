#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace terrazzo::sim {

// Paths that runs seldom take and that must be taken by some run of a stated length, or else nothing was shown of them.
enum class Mark : std::uint8_t {
  edit_durable,          // an edit was acknowledged as durable
  edit_rejected,         // an edit was rejected
  condition_failed,      // by its condition
  refused_overloaded,    // because too much waited, or the disk was full
  refused_read_only,     // because a log or a store had failed
  duplicate_dropped,     // a shard recognised an edit that was sent again
  edits_resent,          // a client sent edits again
  session_resumed,       // after a lost connection, in the same run of the server
  session_over_restart,  // and over a restart
  viewer_stale,          // a slow client was told that edits are left out
  viewer_refreshed,      // and made good
  client_overloaded,     // a client was closed because too much waited for it
  log_replayed,          // recovery replayed edits
  parts_rolled_forward,  // recovery completed an edit over several shards
  log_segment_filled,    // a core's log went on in a second segment
  checkpoint_done,       // a shard's checkpoint while the server ran
  log_failed,            // a core's log failed
  start_failed,          // a start failed, and a later one did not
  cores_changed,         // a start with another number of cores
  mesh_backlog,          // a ring was full, and the sender kept messages
  version_saved,
  version_removed,
  version_restored,
  version_refused,      // a version could not be taken
  pages_brought,        // cold pages were brought into memory
  pages_released,       // memory was given back
  power_lost_at_start,  // the power failed while the server recovered
  shard_moved,          // to another core
  move_refused,
  branch_made,
  branch_refused,
  branch_dropped,
  branch_version_saved,
  branch_restored,
  undone,  // an author took an edit of its own back
  undone_over_shards,
  undone_after_restart,  // the edit was made in an earlier run of the server
  undo_resent,           // an undo was sent again, after a lost connection
  undo_skipped,          // of some cells, which somebody had changed since
  undo_refused,          // of somebody else's edit, or of what is undone already
  mural_undone,          // an edit that the log has no cells of, before viewers of more chunks than fit a message
  redone,
  painter_undid,   // somebody among many took back an edit of what all paint
  undo_claimed,    // an undo was refused by somebody's claim
  edit_claimed,    // likewise an edit
  claim_held,      // a claim was told to be in force
  claim_conflict,  // a claim was refused by another one
  claim_released,  // by its holder
  claim_renewed,
  claim_left,       // its holder did not come back in time
  claim_expired,    // it was not renewed in time
  act_in_callback,  // a client did something from inside what the library told it
  undo_in_callback,
  kCount,
};
inline constexpr std::size_t kMarks = static_cast<std::size_t>(Mark::kCount);
std::string_view mark_name(Mark mark);

class Marks {
 public:
  void hit(Mark mark, std::uint64_t times = 1) { counts_[static_cast<std::size_t>(mark)] += times; }
  const std::array<std::uint64_t, kMarks>& counts() const { return counts_; }

 private:
  std::array<std::uint64_t, kMarks> counts_{};
};

}  // namespace terrazzo::sim

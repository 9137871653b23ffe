#pragma once

#include <cstdint>

// Bugs on purpose. They are there for the simulator (tests/sim) to find, which shows that it would find others of their
// kind. Only the files that ask, compiled once more for the test program terrazzo-sim-canaries, have them; everywhere
// else the answer is a constant no, and nothing is left of the question. For .cc files only: headers are in programs of
// both sorts.
namespace terrazzo::canary {

enum class Bug : std::uint8_t {
  none,
  ack_before_sync,           // an edit is told to be durable when it has been applied
  told_before_logged,        // an edit over several shards is answered before anything of it is in a log
  dedupe_skipped,            // an edit that is sent again is applied again
  wrong_interest_bit,        // who stops looking in one form stops the other form's viewers of its core, too
  pinned_page_freed,         // a page that a version needs is given back
  wake_up_lost,              // a slow client whose second shard is stale is not looked at again
  backlog_wakes_nobody,      // a core that sleeps is not woken for what had to wait for room in its ring
  restored_in_part,          // going back to a version leaves out half of a shard
  version_between_parts,     // a core does not wait for its shards' pages before it lets a version be taken
  version_not_kept,          // a version that is taken is listed, and shards do not keep its state
  stale_resume,              // a client that comes back with an older state is not sent the newer one
  revision_not_raised,       // a chunk that is written again keeps its revision
  torn_tail_believed,        // the log's checksums are not looked at
  part_not_rolled_forward,   // recovery leaves out a part of a decided edit
  last_record_lost,          // recovery does not replay a shard's last edit
  conflation_ignored,        // a slow client is sent every edit
  gap_not_told,              // an edit is left out for a slow client, which is not told
  first_left_out_forgotten,  // what the first edit left out has changed is not made good
  decided_before_logged,     // the parts of an edit are applied before the edit is on disk
  failed_sync_believed,      // a write of the log that failed is taken for done
  edit_not_sent_again,       // a client that comes back does not send again what nobody has answered
  checksum_not_looked_at,    // a page is taken as the disk gives it
  foreign_value_undone,      // an undo restores what others have written since, too
  rolled_part_not_kept,      // parts that recovery rolled forward are in no history
  kCount,
};

#ifdef TERRAZZO_CANARIES
// In a namespace of its own: the linker must not take one answer for the other.
inline namespace seeded {
inline Bug chosen = Bug::none;
inline bool is(Bug bug) {
  return bug == chosen;
}
}  // namespace seeded
#else
constexpr bool is(Bug) {
  return false;
}
#endif

}  // namespace terrazzo::canary

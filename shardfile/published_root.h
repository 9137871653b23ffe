#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "shardfile/page_layout.h"

// The page beside a shard's file (<x>_<y>.readers) through which programs on the same host read it without sockets: the
// server tells the newest pinned tree under a sequence lock, readers say which one they look at. Mapped shared by both.
namespace terrazzo::shardfile {

inline constexpr std::uint64_t kPublishedMagic = 0x33445250'5A525254ull;  // "TRRZPRD3"
inline constexpr std::size_t kReaderSlots = 60;
// In place of a claim that the server has taken away: what was claimed may be written over at any moment from then on.
inline constexpr std::uint64_t kEvicted = 1;

struct Publication {
  std::uint64_t snapshot = 0;  // number of the pinned state, above kEvicted; 0: none yet
  std::uint64_t lsn = 0;
  Entry top;
  std::uint32_t pages = 0;  // of the file, at least, that the tree lies in
};

// One reader process and what it looks at; a cache line.
struct alignas(64) ReaderSlot {
  std::atomic<std::uint64_t> reader{0};   // process_identity.h; 0: free
  std::atomic<std::uint64_t> claimed{0};  // a snapshot's number; 0: none; kEvicted
};

struct alignas(4096) PublishedRoot {
  std::atomic<std::uint64_t> magic;
  std::atomic<std::uint64_t> run;     // changes when a server starts: what an earlier one published may be gone
  std::atomic<std::uint64_t> server;  // process_identity.h, of the run
  // Raised by each reader that comes. Who is there now is what the slots say: a count of them would be wrong for ever
  // after a reader was killed between its slot and the count.
  std::atomic<std::uint32_t> arrivals;
  alignas(64) std::atomic<std::uint64_t> sequence;  // odd while the rest is written
  std::atomic<std::uint64_t> snapshot, lsn, tag_and_revision;
  std::atomic<std::uint32_t> value, pages;
  std::array<ReaderSlot, kReaderSlots> slots;

  // The server. Claims on earlier snapshots are to be looked at afterwards, not before.
  void publish(const Publication& publication);
  bool claimed(std::uint64_t number) const;
  // Takes away every claim on a snapshot that is not the newest. How many there were.
  std::size_t evict(std::uint64_t number);
  bool has_readers() const;
  // Takes the slots of processes that are gone.
  void clear_dead_readers();

  // A reader. Nothing: the server died in the middle of a publication, a second ago.
  std::optional<Publication> read() const;
  // Claims the newest publication in one's own slot, so that its pages stay as they are until the claim goes.
  std::optional<Publication> claim(ReaderSlot& slot);
  ReaderSlot* take_slot(std::uint64_t identity);         // null: all are taken
  void leave(ReaderSlot& slot, std::uint64_t identity);  // nothing, where the slot is no longer that process's
};
static_assert(sizeof(PublishedRoot) == 4096);

}  // namespace terrazzo::shardfile

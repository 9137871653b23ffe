#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/storage/shard_store.h"

// The write-ahead log of one core: records gather in memory, go out in groups, one group in flight. Pure: says what to
// write where; the driver does it (one write that completes when it is durable) and reports back.
namespace terrazzo::storage {

enum class RecordKind : std::uint8_t {
  edit = 1,         // one edit of one shard, payload by shard/log_record.h
  coordinated = 2,  // a whole edit over several shards, in the coordinator's log; lsn is the coordinator's own order
};

struct Record {
  RecordKind kind = RecordKind::edit;
  ShardIdentity shard;
  Lsn lsn;
  std::span<const std::byte> payload;
};

// One write the driver must make, followed by a data sync of that segment file.
struct WalWrite {
  std::uint32_t segment = 0;         // file number inside the core's folder: wal/core-NN/<segment>.wal
  std::uint64_t offset = 0;          // bytes, multiple of 4096
  std::span<const std::byte> bytes;  // multiple of 4096; valid until group_synced
  bool new_segment = false;          // the file must be created first: preallocated, zero-written
};

class WalWriter {
 public:
  // Starts a fresh segment `first_segment` (recovery never appends to an old one).
  WalWriter(std::uint32_t core, Incarnation incarnation, std::uint32_t first_segment, std::uint64_t segment_bytes);
  ~WalWriter();

  // Returns the record's place in the core's order of records: 1, 2, … It is durable once durable_sequence() reaches
  // it.
  std::uint64_t append(const Record& record);
  std::uint64_t appended_sequence() const;
  std::uint64_t durable_sequence() const;
  std::size_t pending_bytes() const;  // not yet handed out; the policy when too many: the shard answers overloaded

  // The next group, if there are records and none is in flight.
  std::optional<WalWrite> next_group();
  // Reports the outcome; after a failure the writer is dead (failed()): shards of this core become read-only.
  void group_synced(Status outcome);
  bool failed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Which core's log, of which run of the server, and the segment's place in it.
struct SegmentName {
  std::uint32_t core = 0;
  Incarnation incarnation;
  std::uint32_t number = 0;
  bool operator==(const SegmentName&) const = default;
};

struct WalScan {
  // clean: behind the last group come zeros, or what an older file held. torn: the group at the end is not all there,
  // as a crash leaves it; nothing of it was acknowledged. damaged: groups that were durable later lie behind what does
  // not check, so it had been acknowledged. Logs of servers that did not number groups never count as damaged.
  enum class End : std::uint8_t { clean, torn, damaged };
  End end = End::clean;
  std::uint64_t end_at = 0;   // byte of the first record that does not check; clean: where the next group would begin
  std::uint64_t records = 0;  // before it
  // Groups behind the damage of which a record is whole, and whole records, those of the damaged group included.
  std::uint64_t groups_behind = 0, records_behind = 0;
  // A group was handed to the disk, so all groups of the segments before were durable.
  bool begun = false;
  std::optional<std::uint16_t> first_ordinal, last_ordinal;  // of groups before end_at
};

// Reads the records of one segment in order, up to the first that does not check; if whole groups lie behind that,
// their records go to `visit_behind`. `bytes` is the whole segment file, `name` what it is called: records of other
// segments are foreign. unsupported: a newer server wrote it; internal: it is another segment under this name.
Result<WalScan> scan_segment(std::span<const std::byte> bytes, const SegmentName& name,
                             const std::function<void(const Record&)>& visit,
                             const std::function<void(const Record&)>& visit_behind = {});

}  // namespace terrazzo::storage

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
// write where; the driver does it (linked write + fdatasync on the core's ring) and reports back.
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
  bool new_segment = false;          // the file must be created (preallocated, zero-written) or recycled first
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

// Reads the records of one segment in order; stops quietly at the first torn or foreign one (a torn tail is what a
// crash leaves) and says where. Bytes are the whole segment file, mapped or read.
struct WalScan {
  std::uint64_t records = 0;
  std::uint64_t bytes_valid = 0;
};
Result<WalScan> scan_segment(std::span<const std::byte> bytes, const std::function<void(const Record&)>& visit);

}  // namespace terrazzo::storage

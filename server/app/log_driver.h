#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "base/error.h"
#include "server/app/backoff.h"
#include "server/app/metrics_page.h"
#include "server/app/node.h"
#include "server/runtime/clock.h"
#include "server/runtime/file_queue.h"
#include "server/storage/wal.h"

namespace terrazzo::app {

// Drives one core's write-ahead log on its ring: one group in flight (one synced write), the next gathers. A
// spare segment file is prepared by a worker ahead of need, because zero-writing one takes tens of milliseconds.
class LogDriver final : private runtime::Completion {
 public:
  using Clock = std::uint64_t (*)();  // nanoseconds that never go back
  LogDriver(Node& node, unsigned core, runtime::FileQueue& files, Clock clock = &runtime::monotonic_ns);
  ~LogDriver() override;

  std::uint64_t append(const storage::Record& record);
  // Hands the next group to the ring, if there is one and its segment file exists.
  void submit(std::uint64_t now_ns);
  // Whether a group has completed since the last call; durable_sequence() may have advanced, or failed() turned true.
  bool take_completed();

  std::uint64_t appended_sequence() const { return writer_.appended_sequence(); }
  std::uint64_t durable_sequence() const { return writer_.durable_sequence(); }
  std::size_t pending_bytes() const { return writer_.pending_bytes(); }  // that no group has taken yet
  bool failed() const { return writer_.failed(); }
  static Error failure() {
    return {ErrorCode::read_only,
            "the write-ahead log of this core failed; its shards take no more edits until the server restarts"};
  }
  // No group goes out until a segment can be made: the disk is full, or the log's folder is not to be written.
  bool lacks_space() const { return no_spare_ && waiting_ && !in_flight_; }
  bool idle() const { return !in_flight_ && writer_.pending_bytes() == 0; }
  // When submit() should be called again although nothing new happens: a group waits for a segment that could not be
  // made, and nobody is at it: the worker who makes one wakes the core.
  std::uint64_t next_try_ns(std::uint64_t now_ns) const {
    constexpr std::uint64_t kNever = ~std::uint64_t{0};
    // Where the time has come already, the workers had no room for the job.
    return no_spare_ && waiting_ && !spare_asked_ ? std::max(spare_backoff_.not_before_ns(), now_ns + runtime::kNsPerMs)
                                                  : kNever;
  }
  // Why no more edits should be taken at the moment: too much waits for the disk.
  std::optional<Error> overloaded() const;
  // Seals segments all of whose records are before `sequence` into history.
  void forget_before(std::uint64_t sequence);
  const LogCounters& counters() const { return counters_; }

 private:
  struct Segment {
    std::uint32_t number = 0;
    int fd = -1;
    std::uint64_t last_sequence = 0;
  };
  void complete(std::int32_t result, std::uint32_t flags) override;
  void prepare_spare();
  int take_segment_file(const storage::WalWrite& write);

  Node& node_;
  const unsigned core_;
  runtime::FileQueue& files_;
  const Clock clock_;
  storage::WalWriter writer_;
  std::deque<Segment> segments_;
  std::optional<storage::WalWrite> waiting_;  // a group whose segment file is still being made
  std::optional<Segment> spare_;
  bool spare_asked_ = false;
  std::optional<Error> no_spare_;  // why the last try failed
  // Each try writes a segment of zeros until the disk is full again: when it stays full, less and less often.
  Backoff spare_backoff_{200 * runtime::kNsPerMs, 5 * runtime::kNsPerSecond};
  std::uint32_t next_spare_ = 1;
  bool in_flight_ = false;
  bool completed_ = false;
  std::int32_t result_ = 0;
  std::uint64_t group_last_sequence_ = 0;
  std::uint64_t submitted_ns_ = 0;
  LogCounters counters_;
};

}  // namespace terrazzo::app

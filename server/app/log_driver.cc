#include "server/app/log_driver.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/canary.h"
#include "server/app/history_keeper.h"

namespace terrazzo::app {
namespace {

// What may wait for the disk before edits are refused: some seconds of a full core, a fraction of its memory. Much less
// where there is no segment to write to, since nobody knows for how long.
constexpr std::size_t kPendingBytesMax = 64u << 20, kPendingBytesWithoutSegment = 256u << 10;

std::uint64_t segment_bytes(const Node& node) {
  return std::uint64_t{node.config.segment_mib} << 20;
}

}  // namespace

LogDriver::LogDriver(Node& node, unsigned core, runtime::FileQueue& files, Clock clock)
    : node_(node),
      core_(core),
      files_(files),
      clock_(clock),
      // Segments of this run are numbered after its incarnation's start: recovery has removed all older ones.
      writer_(core, node.incarnation, 1, segment_bytes(node)) {
  prepare_spare();
}

LogDriver::~LogDriver() {
  for (const Segment& segment : segments_) ::close(segment.fd);
  if (spare_) ::close(spare_->fd);
}

std::uint64_t LogDriver::append(const storage::Record& record) {
  ++counters_.records;
  return writer_.append(record);
}

void LogDriver::prepare_spare() {
  if (spare_ || spare_asked_ || !spare_backoff_.due(clock_())) return;
  const std::uint32_t number = next_spare_;
  spare_asked_ = node_.workers->submit(core_, [this, number]() -> WorkerPool::Done {
    const Result<int> fd = node_.data->create_segment(core_, node_.incarnation, number, segment_bytes(node_));
    return [this, number, fd] {
      spare_asked_ = false;
      if (!fd) {  // asked again at a later submit; the disk may be full for a while
        if (!no_spare_) spdlog::warn("core {}: no new log segment: {}", core_, fd.error().message);
        no_spare_ = fd.error();
        spare_backoff_.failed(clock_());
        return;
      }
      if (no_spare_) spdlog::info("core {}: log segments can be made again", core_);
      no_spare_.reset();
      spare_backoff_.succeeded();
      spare_ = Segment{number, *fd, 0};
      next_spare_ = number + 1;
    };
  });
}

int LogDriver::take_segment_file(const storage::WalWrite& write) {
  if (!write.new_segment) {
    TZ_ASSERT(!segments_.empty() && segments_.back().number == write.segment);
    return segments_.back().fd;
  }
  if (!spare_ || spare_->number != write.segment) {
    prepare_spare();
    return -1;
  }
  segments_.push_back(*std::exchange(spare_, std::nullopt));
  prepare_spare();
  return segments_.back().fd;
}

void LogDriver::submit(std::uint64_t now_ns) {
  if (in_flight_ || writer_.failed()) return;
  if (!waiting_) waiting_ = writer_.next_group();
  if (!waiting_) return;
  const int fd = take_segment_file(*waiting_);
  if (fd < 0) return;
  // What is in this group is what has been appended and handed out so far.
  group_last_sequence_ = writer_.appended_sequence();
  in_flight_ = true;
  submitted_ns_ = now_ns;
  ++counters_.groups;
  counters_.bytes += waiting_->bytes.size();
  files_.write_and_datasync(fd, waiting_->bytes, waiting_->offset, this);
}

std::optional<Error> LogDriver::overloaded() const {
  const std::size_t pending = writer_.pending_bytes() + (waiting_ && !in_flight_ ? waiting_->bytes.size() : 0);
  if (no_spare_ && waiting_ && pending > kPendingBytesWithoutSegment)
    return Error{ErrorCode::overloaded, "the write-ahead log cannot go on: " + no_spare_->message};
  if (pending > kPendingBytesMax)
    return Error{ErrorCode::overloaded, "the disk does not keep up with the edits; send this one again in a moment"};
  return std::nullopt;
}

void LogDriver::complete(std::int32_t result, std::uint32_t) {
  result_ = canary::is(canary::Bug::failed_sync_believed) ? std::max(result, 0) : result;
  completed_ = true;
}

bool LogDriver::take_completed() {
  if (!std::exchange(completed_, false)) return false;
  in_flight_ = false;
  const std::size_t bytes = waiting_->bytes.size();
  waiting_.reset();
  const std::uint64_t took_ns = clock_() - submitted_ns_;
  counters_.sync_ns += took_ns;
  if (result_ < 0) {
    ++counters_.failures;
    writer_.group_synced(
        Error{ErrorCode::read_only, std::string("the log could not be written: ") + std::strerror(-result_)});
  } else {
    segments_.back().last_sequence = group_last_sequence_;
    const std::uint64_t before = writer_.durable_sequence();
    writer_.group_synced({});
    counters_.group_records.record(writer_.durable_sequence() - before);
    counters_.group_bytes.record(bytes);
    counters_.group_ns.record(took_ns);
  }
  return true;
}

void LogDriver::forget_before(std::uint64_t sequence) {
  // The last segment is being written.
  while (segments_.size() > 1 && segments_.front().last_sequence < sequence) {
    const Segment old = segments_.front();
    segments_.pop_front();
    ::close(old.fd);
    const auto seal = [&node = node_,
                       name = io::SegmentName{core_, node_.incarnation, old.number}]() -> WorkerPool::Done {
      seal_into_history(node, name);
      return {};
    };
    // A segment that stays costs disk space and a little time at the next start, where it is sealed then.
    if (!node_.workers->submit(core_, seal)) spdlog::warn("core {}: log segment {} is sealed later", core_, old.number);
  }
}

}  // namespace terrazzo::app

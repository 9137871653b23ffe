#include "server/storage/root_publisher.h"

#include "base/assert.h"
#include "shardfile/process_identity.h"

namespace terrazzo::storage {
namespace {

// Apart from the numbers that others on the core give to snapshots.
constexpr std::uint64_t kNumbers = std::uint64_t{1} << 63;

}  // namespace

RootPublisher::RootPublisher(shardfile::PublishedRoot& root, std::uint64_t hold_ns) : root_(root), hold_ns_(hold_ns) {
  // What the page says is of another run, and so are its trees.
  root_.run.fetch_add(1);
  root_.server.store(shardfile::own_identity());
  root_.publish({});
  last_ = kNumbers;
  root_.magic.store(shardfile::kPublishedMagic);
}

bool RootPublisher::publish(ShardStore& store, PageNo pages, std::uint64_t now_ns) {
  const std::uint32_t arrivals = root_.arrivals.load(std::memory_order_acquire);
  const bool read = (was_read_ || arrivals != arrivals_) && root_.has_readers();
  was_read_ = read;
  arrivals_ = arrivals;
  const bool told = root_.snapshot.load(std::memory_order_relaxed) != 0;
  if (read && (!told || store.lsn() != last_lsn_)) {
    const PinInfo& pin = store.pin(PinKind::snapshot, ++last_);
    last_lsn_ = pin.lsn;
    held_.push_back({last_, std::nullopt});
    root_.publish({last_, pin.lsn.value, pin.top, pages});
  }
  if (!read && told) root_.publish({});
  if (!held_.empty()) let_go(store, now_ns);
  return read;
}

void RootPublisher::let_go(ShardStore& store, std::uint64_t now_ns) {
  std::erase_if(held_, [&](Held& held) {
    if (in_use(held, now_ns)) return false;
    const Status dropped = store.unpin(PinKind::snapshot, held.number);
    TZ_ASSERT(dropped.ok());
    return true;
  });
}

// The newest costs nothing to keep; the time of a reader runs from when its state is overtaken, so that one which asks
// for the newest state in time is never disturbed.
bool RootPublisher::in_use(Held& held, std::uint64_t now_ns) {
  if (held.number == root_.snapshot.load(std::memory_order_relaxed)) return true;
  if (!root_.claimed(held.number)) return false;
  if (!held.overtaken_ns) held.overtaken_ns = now_ns;
  if (hold_ns_ == 0 || now_ns - *held.overtaken_ns < hold_ns_) return true;
  evictions_ += root_.evict(held.number);
  return false;
}

}  // namespace terrazzo::storage

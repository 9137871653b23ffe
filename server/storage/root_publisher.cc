#include "server/storage/root_publisher.h"

#include "base/assert.h"

namespace terrazzo::storage {
namespace {

// Apart from the numbers that others on the core give to snapshots.
constexpr std::uint64_t kNumbers = std::uint64_t{1} << 63;

}  // namespace

RootPublisher::RootPublisher(shardfile::PublishedRoot& root) : root_(root) {
  // What the page says is of another run, and so are its trees.
  root_.run.fetch_add(1);
  root_.publish({});
  last_ = kNumbers;
  root_.magic.store(shardfile::kPublishedMagic);
}

bool RootPublisher::publish(ShardStore& store, PageNo pages) {
  const std::uint32_t arrivals = root_.arrivals.load(std::memory_order_acquire);
  const bool read = (was_read_ || arrivals != arrivals_) && root_.has_readers();
  was_read_ = read;
  arrivals_ = arrivals;
  const bool told = root_.snapshot.load(std::memory_order_relaxed) != 0;
  if (read && (!told || store.lsn() != last_lsn_)) {
    const PinInfo& pin = store.pin(PinKind::snapshot, ++last_);
    last_lsn_ = pin.lsn;
    held_.push_back(last_);
    root_.publish({last_, pin.lsn.value, pin.top, pages});
  }
  if (!read && told) root_.publish({});
  if (!held_.empty()) let_go(store);
  return read;
}

void RootPublisher::let_go(ShardStore& store) {
  const std::uint64_t newest = root_.snapshot.load(std::memory_order_relaxed);
  std::erase_if(held_, [&](std::uint64_t number) {
    if (number == newest || root_.claimed(number)) return false;
    const Status dropped = store.unpin(PinKind::snapshot, number);
    TZ_ASSERT(dropped.ok());
    return true;
  });
}

}  // namespace terrazzo::storage

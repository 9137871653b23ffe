#include "shardfile/published_root.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "shardfile/process_identity.h"

namespace terrazzo::shardfile {
namespace {

// A publication takes nanoseconds, unless the server's thread loses its CPU in the middle of it: then the reader gives
// its own away. A server that died there never comes back.
class Patience {
 public:
  bool again() {
    if (++tries_ % 1024 != 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (tries_ == 1024) until_ = now + std::chrono::seconds(1);
    std::this_thread::yield();
    return now < until_;
  }

 private:
  std::uint64_t tries_ = 0;
  std::chrono::steady_clock::time_point until_;
};

}  // namespace

// Sequence lock: Boehm, "Can seqlocks get along with programming language memory models?", 2012; every field is atomic.
void PublishedRoot::publish(const Publication& publication) {
  const std::uint64_t before = sequence.load(std::memory_order_relaxed);
  sequence.store(before | 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  // In one order with claims, which look at it: see claim().
  snapshot.store(publication.snapshot, std::memory_order_seq_cst);
  lsn.store(publication.lsn, std::memory_order_relaxed);
  tag_and_revision.store(publication.top.tag_and_revision, std::memory_order_relaxed);
  value.store(publication.top.value, std::memory_order_relaxed);
  pages.store(publication.pages, std::memory_order_relaxed);
  sequence.store((before | 1) + 1, std::memory_order_seq_cst);
}

bool PublishedRoot::claimed(std::uint64_t number) const {
  return std::ranges::any_of(slots, [&](const ReaderSlot& slot) {
    return slot.claimed.load(std::memory_order_seq_cst) == number && slot.reader.load() != 0;
  });
}

// The writer's half of a second sequence lock: the claim goes before the first of its pages is written again, so that a
// reader whose claim is still there after it has read has read what it claimed.
std::size_t PublishedRoot::evict(std::uint64_t number) {
  std::size_t evicted = 0;
  for (ReaderSlot& slot : slots) {
    std::uint64_t claim = number;
    // One that moves on at this moment keeps its new claim.
    if (slot.claimed.compare_exchange_strong(claim, kEvicted)) ++evicted;
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return evicted;
}

bool PublishedRoot::has_readers() const {
  return std::ranges::any_of(slots, [](const ReaderSlot& slot) { return slot.reader.load() != 0; });
}

std::optional<Publication> PublishedRoot::read() const {
  for (Patience patience; patience.again();) {
    const std::uint64_t before = sequence.load(std::memory_order_acquire);
    if ((before & 1) != 0) continue;
    Publication found;
    found.snapshot = snapshot.load(std::memory_order_relaxed);
    found.lsn = lsn.load(std::memory_order_relaxed);
    found.top.tag_and_revision = tag_and_revision.load(std::memory_order_relaxed);
    found.top.value = value.load(std::memory_order_relaxed);
    found.pages = pages.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (sequence.load(std::memory_order_relaxed) == before) return found;
  }
  return std::nullopt;
}

// Either the server sees the claim when it looks for them after its next publication, or the second look here sees that
// publication and the claim is made again.
std::optional<Publication> PublishedRoot::claim(ReaderSlot& slot) {
  for (Patience patience; patience.again();) {
    const std::optional<Publication> found = read();
    if (!found || found->snapshot == 0) return found;
    slot.claimed.store(found->snapshot, std::memory_order_seq_cst);
    if (snapshot.load(std::memory_order_seq_cst) == found->snapshot &&
        (sequence.load(std::memory_order_seq_cst) & 1) == 0)
      return found;
  }
  return std::nullopt;
}

ReaderSlot* PublishedRoot::take_slot(std::uint64_t identity) {
  for (ReaderSlot& slot : slots) {
    std::uint64_t free = 0;
    if (!slot.reader.compare_exchange_strong(free, identity)) continue;
    slot.claimed.store(0);
    arrivals.fetch_add(1);
    return &slot;
  }
  return nullptr;
}

void PublishedRoot::leave(ReaderSlot& slot, std::uint64_t identity) {
  if (slot.reader.load() != identity) return;
  slot.claimed.store(0);
  slot.reader.compare_exchange_strong(identity, 0);
}

void PublishedRoot::clear_dead_readers() {
  for (ReaderSlot& slot : slots) {
    const std::uint64_t identity = slot.reader.load();
    if (identity != 0 && process_gone(identity)) leave(slot, identity);
  }
}

}  // namespace terrazzo::shardfile

#include "server/app/memory_budget.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "server/io/cold_pages.h"

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kLookEveryNs = 50'000'000;
// Taking an extent out of the mapping costs a few microseconds.
constexpr std::size_t kExtentsPerTick = 8;
constexpr std::size_t kStepsPerTick = 512;

}  // namespace

std::uint64_t MemoryBudget::resident() const {
  std::uint64_t pages = 0;
  shards_.for_each([&](ShardSlot& slot) {
    if (const storage::Residency* residency = slot.shard->residency()) pages += residency->resident();
  });
  return pages;
}

void MemoryBudget::advance(std::uint64_t now_ns) {
  if (releasing_) return release_some();
  if (now_ns - looked_ns_ < kLookEveryNs) return;
  looked_ns_ = now_ns;
  releasing_ = resident() > pages_max_;
}

void MemoryBudget::learn() {
  shards_.for_each([&](ShardSlot& slot) {
    storage::Residency* const residency = slot.shard->residency();
    if (residency == nullptr) return;
    const auto [number, is_new] = numbers_.try_emplace(
        &slot, unused_numbers_.empty() ? static_cast<std::uint32_t>(files_.size()) : unused_numbers_.back());
    if (is_new && number->second == files_.size()) {
      files_.push_back(&slot);
    } else if (is_new) {
      files_[number->second] = &slot;
      unused_numbers_.pop_back();
    }
    residency->take_new_extents([&](storage::PageNo extent) { sieve_.insert({number->second, extent}); });
  });
}

void MemoryBudget::forget(ShardSlot& slot) {
  const auto number = numbers_.extract(&slot);
  if (!number.empty()) {
    sieve_.erase_file(number.mapped());
    files_[number.mapped()] = nullptr;
    unused_numbers_.push_back(number.mapped());
  }
  if (storage::Residency* const residency = slot.shard->residency()) residency->tell_again();
}

void MemoryBudget::release_some() {
  learn();
  std::vector<LetGo> let_go;
  std::uint64_t resident_now = resident();
  const auto judge = [&](const storage::ExtentSieve::Key& key) {
    storage::Residency& residency = *files_[key.file]->shard->residency();
    const bool used = residency.take_used(key.extent);
    return used || !residency.is_clean(key.extent) ? storage::ExtentSieve::Verdict::keep
                                                   : storage::ExtentSieve::Verdict::release;
  };
  while (resident_now > pages_max_ && let_go.size() < kExtentsPerTick) {
    const auto found = sieve_.next(kStepsPerTick, judge);
    if (!found) break;
    let_go.push_back(release(*files_[found->file], found->extent));
    const auto pages = static_cast<std::uint64_t>(std::popcount(let_go.back().pages));
    released_ += pages;
    resident_now -= pages;
  }
  // What is used or not on disk yet may be let go later.
  releasing_ = resident_now > pages_max_ && !let_go.empty();
  if (let_go.empty()) return;
  const bool asked = node_.page_workers->submit(self_, [let_go = std::move(let_go)]() -> WorkerPool::Done {
    for (const LetGo& one : let_go) io::let_go(one.fd, one.extent, one.pages);
    return {};
  });
  // Otherwise the kernel takes them when it needs memory: they are not mapped any more.
  static_cast<void>(asked);
}

MemoryBudget::LetGo MemoryBudget::release(ShardSlot& slot, storage::PageNo extent) {
  const std::uint64_t pages = slot.shard->residency()->release(extent);
  const storage::PageNo first = extent * storage::Residency::kExtentPages;
  for (std::uint64_t left = pages; left != 0;) {
    const int from = std::countr_zero(left), count = std::countr_one(left >> from);
    slot.file->unmap_pages(first + static_cast<storage::PageNo>(from), static_cast<storage::PageNo>(count));
    left &= count == 64 ? 0 : ~(((std::uint64_t{1} << count) - 1) << from);
  }
  return {slot.file->fd(), extent, pages};
}

}  // namespace terrazzo::app
